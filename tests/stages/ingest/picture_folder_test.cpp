#include "stages/ingest/picture_folder.hpp"

#include "stages/images/subject_split.hpp"
#include "tests/stages/ingest/ingest_fixture.hpp"

#include <chrono>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::IngestFixture;

TEST(SubjectOf, FindsTheDigitsBeforeTheSide) {
  EXPECT_EQ(subject_of("9001695L.jpg", "([0-9]+)[LR]"), "9001695");
  EXPECT_EQ(subject_of("9001695R.jpg", "([0-9]+)[LR]"), "9001695");
  EXPECT_EQ(subject_of("9001695R.jpg", "[0-9]+"), "9001695");
  EXPECT_EQ(subject_of("9001695R.jpg", ""), "9001695R");
  EXPECT_EQ(subject_of("readme.jpg", "([0-9]+)[LR]"), "");
}

TEST(ListPictures, SortsClassesByNumberAndPassesOverOtherFiles) {
  IngestFixture f;
  for (const std::string label : {"10", "2", "1"}) f.add(label + "/x" + label + ".PNG");
  f.add_bytes("2/notes.txt", "no picture");
  f.add_bytes("2/.hidden.png", "no picture");
  const auto folder = list_pictures(f.config());
  EXPECT_THAT(folder.label_names, ElementsAre("1", "2", "10"));
  ASSERT_EQ(folder.pictures.size(), 3);
  EXPECT_EQ(folder.pictures[0].path, "1/x1.PNG");
  EXPECT_EQ(folder.pictures[1].path, "10/x10.PNG");
  EXPECT_EQ(folder.pictures[1].label, 2);
}

TEST(ListPictures, ClassNamesGiveTheOrder) {
  IngestFixture f;
  f.add_classes(3);
  auto config = f.config();
  config.class_names = {"b", "a"};
  const auto folder = list_pictures(config);
  EXPECT_THAT(folder.label_names, ElementsAre("b", "a"));
  EXPECT_EQ(folder.pictures.front().label, 1);
}

TEST(ListPictures, SaysWhatIsWrongWithAFolder) {
  IngestFixture f;
  EXPECT_THAT(f.failure(f.config()), HasSubstr("is no folder"));
  std::filesystem::create_directories(f.pictures());
  EXPECT_THAT(f.failure(f.config()), HasSubstr("holds no pictures"));
  f.add("a/1.png");
  EXPECT_THAT(f.failure(f.config()), HasSubstr("only one class, 'a'"));
  std::filesystem::create_directories(f.pictures() / "b");
  EXPECT_THAT(f.failure(f.config()), HasSubstr("class 'b' has no pictures"));
  f.add("b/2.png");
  auto config = f.config();
  config.class_names = {"a", "c"};
  EXPECT_THAT(f.failure(config), HasSubstr("pictures/b: is not in ingest.class_names"));
  EXPECT_THAT(f.failure(f.config()), HasSubstr("split gets no images"));
}

TEST(ListPictures, SaysWhatIsWrongWithSplitFolders) {
  IngestFixture f;
  f.add("train/a/1.png");
  f.add("train/b/2.png");
  EXPECT_THAT(f.failure(f.config()), HasSubstr("set ingest.split.mode: folders"));
  auto config = f.config();
  config.split.mode = "folders";
  EXPECT_THAT(f.failure(config), HasSubstr("has no folder 'val'"));
  f.add("val/a/3.png");
  EXPECT_THAT(f.failure(config), HasSubstr("halve_val: true"));
  f.add("test/b/4.png");
  config.split.halve_val = true;
  EXPECT_THAT(f.failure(config), HasSubstr("set halve_val: false"));
}

TEST(ListPictures, TheValidationFolderHasSeveralNames) {
  IngestFixture f;
  for (const std::string split : {"train", "valid", "test"})
    for (const std::string label : {"a", "b"})
      f.add(split + "/" + label + "/" + split + label + ".png");
  auto config = f.config();
  config.split.mode = "folders";
  const auto folder = list_pictures(config);
  ASSERT_EQ(folder.pictures.size(), 6);
  EXPECT_EQ(folder.pictures[4].path, "valid/a/valida.png");
  EXPECT_EQ(folder.pictures[4].folder, Split::val);
  f.add("val/a/9.png");
  EXPECT_THAT(f.failure(config), HasSubstr("'val' and 'valid' (both are the val split)"));
}

TEST(Fingerprint, ChangesWithNameSizeAndTime) {
  IngestFixture f;
  f.add_classes(2);
  const auto before = ingest_fingerprint(f.config());
  EXPECT_EQ(before.size(), 64);
  EXPECT_EQ(before, ingest_fingerprint(f.config()));
  const auto file = f.pictures() / "a/a100.png";
  std::filesystem::last_write_time(
      file, std::filesystem::last_write_time(file) + std::chrono::seconds(5));
  const auto touched = ingest_fingerprint(f.config());
  EXPECT_NE(before, touched);
  f.add("b/new.png");
  EXPECT_NE(touched, ingest_fingerprint(f.config()));
  EXPECT_EQ(ingest_fingerprint(IngestConfig{}), "phantom");
}

TEST(IngestConfig, RejectsWhatRangesCannotSay) {
  const auto rejected = [](auto change) {
    IngestConfig config;
    change(config);
    EXPECT_THROW(config.check(), UsageError);
  };
  rejected([](IngestConfig& c) { c.resolution = 48; });
  rejected([](IngestConfig& c) { c.channels = 2; });
  rejected([](IngestConfig& c) { c.source = "folder"; });
  rejected([](IngestConfig& c) { c.split.train = 0.9; });
  rejected([](IngestConfig& c) { c.split.mode = "folders"; });
  rejected([](IngestConfig& c) { c.split.halve_val = true; });
  rejected([](IngestConfig& c) { c.subject_regex = "(["; });
  rejected([](IngestConfig& c) { c.dicom.high = 0.5; });
  EXPECT_NO_THROW(IngestConfig{}.check());
}

}  // namespace
}  // namespace stylescope
