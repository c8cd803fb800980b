#include "stages/tile/slide_list.hpp"

#include "io/base/error.hpp"
#include "tests/stages/tile/made_slides.hpp"

#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing_support::TempDir;

// Names and sizes are all that a list looks at: files of any bytes will do.
void touch(const fs::path& file, size_t bytes = 10) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << std::string(bytes, 'x');
}

TileConfig config_of(const TempDir& dir) {
  TileConfig config;
  config.path = dir.path().string();
  config.labels.unannotated = "negative";
  return config;
}

std::string failure(const TileConfig& config) {
  try {
    list_slides(config, config.path, 1);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(SlideList, LargestFirstWithWhatLiesBesideThem) {
  const TempDir dir;
  touch(dir / "b" / "small.tif", 10);
  touch(dir / "a" / "large.svs", 1000);
  touch(dir / "a" / "large.xml");
  touch(dir / "a" / "notes.txt");
  touch(dir / ".hidden" / "x.svs");
  const auto list = list_slides(config_of(dir), dir.path(), 1);
  ASSERT_EQ(list.slides.size(), 2u);
  EXPECT_EQ(list.slides[0].name, "large");
  EXPECT_EQ(list.slides[0].annotation, dir / "a" / "large.xml");
  EXPECT_EQ(list.slides[1].name, "small");
  EXPECT_TRUE(list.slides[1].annotation.empty());
  EXPECT_EQ(list.slides[1].subject, "small");
}

TEST(SlideList, SlidesOfASubjectStayTogether) {
  const TempDir dir;
  for (int i = 0; i < 40; ++i)
    touch(dir / ("p" + std::to_string(i / 2) + "-" + std::to_string(i % 2) + ".svs"));
  auto config = config_of(dir);
  config.subject_regex = "^(p[0-9]+)-";
  const auto list = list_slides(config, dir.path(), 3);
  std::map<std::string, std::set<Split>> splits;
  for (const auto& slide : list.slides) splits[slide.subject].insert(slide.split);
  EXPECT_EQ(splits.size(), 20u);
  for (const auto& [subject, own] : splits) EXPECT_EQ(own.size(), 1u) << subject;
}

TEST(SlideList, WhatNobodyCanLabelIsNamed) {
  const TempDir dir;
  touch(dir / "a.svs");
  touch(dir / "b.svs");
  touch(dir / "b.xml");
  auto config = config_of(dir);
  config.labels.unannotated = "auto";
  const auto list = list_slides(config, dir.path(), 1);
  ASSERT_EQ(list.bad.size(), 1u);
  EXPECT_THAT(list.bad[0].reason, HasSubstr("nothing says that it is negative"));
  config.labels.unannotated = "skip";
  const auto skipped = list_slides(config, dir.path(), 1);
  EXPECT_TRUE(skipped.bad.empty());
  ASSERT_EQ(skipped.notes.size(), 1u);
  EXPECT_THAT(skipped.notes[0], HasSubstr("a is left out"));
}

TEST(SlideList, AListDecidesSubjectsClassesSplitsAndScale) {
  const TempDir dir;
  touch(dir / "s" / "a.svs");
  touch(dir / "s" / "b.svs");
  touch(dir / "s" / "unlisted.svs");
  touch(dir / "outline.geojson");
  std::ofstream(dir / "list.csv") << "slide,subject,class,split,annotation,mpp\n"
                                     "a.svs,p1,tumor,train,outline.geojson,0.25\n"
                                     "b.svs,p2,normal,test,,\n"
                                     "gone.svs,p3,normal,val,,\n";
  auto config = config_of(dir);
  config.path = (dir / "s").string();
  config.list = (dir / "list.csv").string();
  config.labels.unannotated = "auto";
  config.split.mode = "list";
  const auto list = list_slides(config, config.path, 1);
  ASSERT_EQ(list.slides.size(), 2u);
  const auto& a = list.slides[0].name == "a" ? list.slides[0] : list.slides[1];
  EXPECT_EQ(a.subject, "p1");
  EXPECT_EQ(a.label, 1);
  EXPECT_EQ(a.split, Split::train);
  EXPECT_EQ(a.annotation, dir / "outline.geojson");
  EXPECT_DOUBLE_EQ(list.mpp.at("a.svs").x, 0.25);
  EXPECT_EQ(list.mpp.at("a.svs").source, config.list);
  ASSERT_EQ(list.bad.size(), 1u);
  EXPECT_THAT(list.bad[0].path, HasSubstr("gone.svs"));

  std::ofstream(dir / "list.csv") << "slide,split\na.svs,trian\n";
  EXPECT_THAT(failure(config), HasSubstr("list.csv:2: split 'trian' is none of train, val, test; "
                                         "did you mean 'train'?"));
  std::ofstream(dir / "list.csv") << "slide,split,class\na.svs,train,tumour\n";
  EXPECT_THAT(failure(config),
              HasSubstr("class 'tumour' is not in tile.class_names; did you mean 'tumor'?"));
  std::ofstream(dir / "list.csv")
      << "slide,subject,split,class\na.svs,p,train,normal\nb.svs,p,test,normal\n";
  EXPECT_THAT(failure(config), HasSubstr("subject 'p' lies in two splits"));
  std::ofstream(dir / "list.csv") << "slide,split,class,mpp\na.svs,train,normal,40\n";
  EXPECT_THAT(failure(config), HasSubstr("list.csv:2: mpp '40' is no number from 0.05 to 20"));
}

TEST(SlideList, ErrorsOfFoldersAndNames) {
  const TempDir dir;
  auto config = config_of(dir);
  EXPECT_THAT(failure(config), HasSubstr("holds no slides"));
  touch(dir / "x" / "a.svs");
  touch(dir / "y" / "a.tif");
  EXPECT_THAT(failure(config), HasSubstr("has the same name as"));
  config.path = (dir / "nowhere").string();
  EXPECT_THAT(failure(config), HasSubstr("nowhere: is no folder"));
  config = config_of(dir);
  config.labels.annotations = "no/such/folder";
  EXPECT_THAT(
      failure(config),
      HasSubstr("no/such/folder: is no folder (or is not there); check tile.labels.annotations"));
}

TEST(SlideList, Camelyon16ErrataAndOfficialTestSet) {
  const TempDir dir;
  for (int i = 80; i <= 99; ++i) touch(dir / ("normal_0" + std::to_string(i) + ".tif"));
  for (int i = 10; i <= 19; ++i) {
    touch(dir / ("tumor_0" + std::to_string(i) + ".tif"));
    touch(dir / ("tumor_0" + std::to_string(i) + ".xml"));
  }
  touch(dir / "test_001.tif");
  touch(dir / "test_001.xml");
  touch(dir / "test_003.tif");
  touch(dir / "test_049.tif");
  touch(dir / "test_114.tif");
  auto config = config_of(dir);
  config.dataset = "camelyon16";
  config.labels.unannotated = "auto";
  config.split.mode = "camelyon16";
  const auto list = list_slides(config, dir.path(), 1);
  EXPECT_TRUE(list.bad.empty());
  std::map<std::string, const ListedSlide*> by_name;
  for (const auto& slide : list.slides) by_name[slide.name] = &slide;
  for (const char* gone : {"normal_086", "test_049", "test_114"}) {
    EXPECT_FALSE(by_name.contains(gone)) << gone;
    EXPECT_TRUE(std::any_of(list.notes.begin(), list.notes.end(), [&](const std::string& note) {
      return note.starts_with(std::string(gone) + " is left out: ");
    })) << gone;
  }
  EXPECT_EQ(by_name.at("test_001")->split, Split::test);
  EXPECT_EQ(by_name.at("test_001")->label, 1);
  EXPECT_EQ(by_name.at("test_003")->split, Split::test);
  EXPECT_EQ(by_name.at("test_003")->label, 0);
  // Not all of tumor_010's tumour is outlined: what lies outside is no normal tissue for certain.
  EXPECT_FALSE(by_name.at("tumor_010")->negatives);
  EXPECT_TRUE(by_name.at("tumor_011")->negatives);
  for (const auto& [name, slide] : by_name)
    if (!name.starts_with("test")) EXPECT_NE(slide->split, Split::test) << name;

  // An outline that is missing must not turn a tumour slide into a normal one.
  fs::remove(dir / "tumor_013.xml");
  const auto lacking = list_slides(config, dir.path(), 1);
  ASSERT_EQ(lacking.bad.size(), 1u);
  EXPECT_THAT(lacking.bad[0].reason, HasSubstr("is of class tumor and has no outlines"));
}

TEST(SlideList, TheFingerprintFollowsSlidesAndOutlines) {
  const TempDir dir;
  touch(dir / "a.svs");
  touch(dir / "b.svs");
  const auto config = config_of(dir);
  const auto before = tile_fingerprint(config);
  EXPECT_EQ(before, tile_fingerprint(config));
  touch(dir / "a.xml");
  EXPECT_NE(before, tile_fingerprint(config));

  // A patient moved from train to test, a scale corrected, another target: all of them count.
  auto listed = config;
  listed.list = (dir / "list.csv").string();
  listed.split.mode = "list";
  listed.labels.from = "slides";
  const auto with = [&](const std::string& rows) {
    std::ofstream(listed.list) << "slide,class,split,mpp\n" << rows;
    return tile_fingerprint(listed);
  };
  const auto first = with("a.svs,normal,train,0.5\nb.svs,tumor,train,0.5\n");
  EXPECT_EQ(first, with("a.svs,normal,train,0.5\nb.svs,tumor,train,0.5\n"));
  EXPECT_NE(first, with("a.svs,normal,test,0.5\nb.svs,tumor,train,0.5\n"));
  EXPECT_NE(first, with("a.svs,normal,train,0.25\nb.svs,tumor,train,0.5\n"));
  EXPECT_NE(first, with("a.svs,tumor,train,0.5\nb.svs,tumor,train,0.5\n"));
  auto stained = config;
  stained.stain.target = (dir / "b.svs").string();
  const auto with_target = tile_fingerprint(stained);
  touch(dir / "b.svs", 77);
  EXPECT_NE(with_target, tile_fingerprint(stained));
}

TEST(SlideList, MasksAreNoSlides) {
  const TempDir dir;
  touch(dir / "s" / "a.tif");
  touch(dir / "s" / "a_mask.tif");
  auto config = config_of(dir);
  config.path = (dir / "s").string();
  config.labels.from = "masks";
  config.labels.annotations = config.path;
  EXPECT_THAT(failure(config), HasSubstr("holds the slides and their masks"));
  fs::create_directories(dir / "m");
  fs::rename(dir / "s" / "a_mask.tif", dir / "m" / "a_mask.tif");
  config.labels.annotations = (dir / "m").string();
  EXPECT_EQ(list_slides(config, config.path, 1).slides.at(0).annotation, dir / "m" / "a_mask.tif");
}

}  // namespace
}  // namespace stylescope
