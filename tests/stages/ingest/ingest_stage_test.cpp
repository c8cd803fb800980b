#include "stages/ingest/ingest_stage.hpp"

#include "io/atomic_file.hpp"
#include "io/image_set.hpp"
#include "io/sha256.hpp"
#include "stages/phantom/knee_measurement.hpp"
#include "stages/phantom/knee_phantom.hpp"
#include "tests/stages/ingest/ingest_fixture.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::IngestFixture;

// Row of a path in the image set; fails the test when it is not there.
int64_t row_of(const ImageSet& set, const std::string& path) {
  for (int64_t i = 0; i < set.size(); ++i)
    if (set.record(i).path == path) return i;
  ADD_FAILURE() << path << " is not in the image set";
  return 0;
}

TEST(Ingest, DrawsThePhantomAndRemembersItsFactors) {
  IngestFixture f;
  IngestConfig config;
  config.phantom.subjects = 30;
  config.phantom.images_per_subject = 2;
  config.channels = 3;
  const auto metrics = f.run(config);
  const ImageSet set(f.dir / "ingest/images.h5");
  ASSERT_EQ(set.size(), 60);
  EXPECT_EQ(set.channels(), 3);
  EXPECT_EQ(metrics["train_subjects"], 21);
  EXPECT_EQ(metrics["train_images"].get<int>() + metrics["val_images"].get<int>() +
                metrics["test_images"].get<int>(),
            60);
  EXPECT_EQ(metrics["bad_files"], 0);
  for (int64_t i = 0; i < set.size(); ++i) {
    const auto& record = set.record(i);
    EXPECT_EQ(record.label, record.attributes.at("joint_width") < kNarrowJointWidth ? 1 : 0);
    EXPECT_NEAR(measure_joint_width(set.read({i})[0]), record.attributes.at("joint_width"), 0.03);
  }
  EXPECT_EQ(read_picture(f.dir / "ingest/contact_sheet.png", 1).size(2), 8 * 32);
}

TEST(Ingest, TheNumberOfThreadsChangesNothing) {
  IngestFixture f;
  f.add_classes(40);
  f.add_bytes("a/bad.png", "no picture");
  auto config = f.config();
  config.max_bad_fraction = 0.05;
  std::set<std::string> pictures, lists;
  for (const int64_t threads : {1, 2, 7}) {
    config.threads = threads;
    const auto name = "run" + std::to_string(threads);
    f.run(config, name);
    const ImageSet set(f.dir / name / "images.h5");
    std::string content;
    std::vector<int64_t> all;
    for (int64_t i = 0; i < set.size(); ++i) {
      const auto& r = set.record(i);
      content += r.path + r.subject + to_string(r.split) + std::to_string(r.label);
      all.push_back(i);
    }
    const auto pixels = set.read(all).contiguous();
    content.append(static_cast<const char*>(pixels.data_ptr()), pixels.numel());
    pictures.insert(sha256_of(content));
    lists.insert(read_text(f.dir / name / "bad_files.csv"));
  }
  EXPECT_EQ(pictures.size(), 1);
  EXPECT_EQ(lists.size(), 1);
}

TEST(Ingest, AveragesAreasAndConvertsDepthAndColour) {
  IngestFixture f;
  f.add_classes(10);
  // Columns 0, 60, 0, 60, ...: halving averages them.
  auto stripes = torch::zeros({1, 32, 32}, torch::kUInt8);
  stripes.slice(2, 1, 32, 2).fill_(60);
  write_png(f.pictures() / "a/stripes.png", stripes);
  auto colour = torch::zeros({3, 16, 16}, torch::kUInt8);
  colour[0].fill_(200), colour[1].fill_(100), colour[2].fill_(50);
  write_png(f.pictures() / "b/colour.png", colour);
  // A 16-bit grey TIFF, made by hand: 0x8080 is what the 8-bit value 128 means.
  std::string tiff("II*\0\x08\0\0\0", 8);
  const auto u16 = [](uint32_t v) { return std::string{char(v & 255), char(v >> 8 & 255)}; };
  const auto entry = [&](uint32_t tag, uint32_t type, uint32_t value) {
    return u16(tag) + u16(type) + u16(1) + u16(0) + u16(value) + u16(0);
  };
  tiff += u16(9) + entry(256, 3, 16) + entry(257, 3, 16) + entry(258, 3, 16) + entry(259, 3, 1) +
          entry(262, 3, 1) + entry(273, 4, 8 + 2 + 9 * 12 + 4) + entry(277, 3, 1) +
          entry(278, 3, 16) + entry(279, 4, 512) + std::string(4, '\0') + std::string(512, '\x80');
  f.add_bytes("a/deep.tif", tiff);
  f.run(f.config());
  const ImageSet set(f.dir / "ingest/images.h5");
  EXPECT_TRUE((set.read({row_of(set, "a/stripes.png")}) == 30).all().item<bool>());
  EXPECT_TRUE((set.read({row_of(set, "a/deep.tif")}) == 128).all().item<bool>());
  const double luminance =
      set.read({row_of(set, "b/colour.png")}).to(torch::kFloat64).mean().item<double>();
  EXPECT_NEAR(luminance, 0.299 * 200 + 0.587 * 100 + 0.114 * 50, 1);
}

// 96 good pictures and four bad ones.
void add_some_bad(const IngestFixture& f) {
  f.add_classes(48);
  f.add_bytes("a/empty.png", "");
  f.add_bytes("a/text.png", "this is text, \"not\" a picture\n");
  const std::string png = encode_png(torch::randint(0, 255, {1, 40, 40}, torch::kUInt8));
  f.add_bytes("b/cut.png", png.substr(0, png.size() / 2));
  // The head of a JPEG (start of image, JFIF) and nothing after it.
  f.add_bytes("b/cut.jpg", std::string("\xFF\xD8\xFF\xE0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", 20));
}

TEST(Ingest, LeavesOutAFewBadPictures) {
  IngestFixture f;
  add_some_bad(f);
  auto config = f.config();
  config.max_bad_fraction = 0.04;
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["bad_files"], 4);
  EXPECT_EQ(metrics["images"], 96);
  EXPECT_EQ(ImageSet(f.dir / "ingest/images.h5").size(), 96);
  const auto list = read_text(f.dir / "ingest/bad_files.csv");
  for (const auto* name : {"\na/empty.png,", "\na/text.png,", "\nb/cut.png,", "\nb/cut.jpg,"})
    EXPECT_THAT(list, HasSubstr(name));
}

TEST(Ingest, FailsOnTooManyBadPicturesAndKeepsTheirList) {
  IngestFixture f;
  add_some_bad(f);
  auto config = f.config();
  config.max_bad_fraction = 0.039;
  const auto failure = f.failure(config);
  EXPECT_THAT(failure, HasSubstr("4 of 100 pictures cannot be used (4 %"));
  EXPECT_THAT(failure, HasSubstr("a/empty.png: "));
  EXPECT_THAT(failure, HasSubstr("bad_files.csv lists them all"));
  EXPECT_THAT(failure, Not(HasSubstr("b/cut.png: ")));  // the fourth
  EXPECT_THAT(read_text(f.dir / "ingest/bad_files.csv"), HasSubstr("\nb/cut.png,"));
  EXPECT_FALSE(fs::exists(f.dir / "ingest/images.h5"));
}

TEST(Ingest, ANameWithoutASubjectIsABadFile) {
  IngestFixture f;
  f.add_classes(30);
  f.add("a/thumbnail.png");
  auto config = f.config();
  config.subject_regex = "[ab]([0-9]+)";
  config.max_bad_fraction = 0.02;
  EXPECT_EQ(f.run(config)["bad_files"], 1);
  EXPECT_THAT(read_text(f.dir / "ingest/bad_files.csv"),
              HasSubstr("a/thumbnail.png,the file name"));
  config.subject_regex = "patient-[0-9]+";
  EXPECT_THAT(f.failure(config, "none"), HasSubstr("61 of 61 pictures cannot be used"));
}

TEST(Ingest, StopsWhenASubjectLiesInTwoSplitFolders) {
  IngestFixture f;
  f.add("train/a/9001L.png");
  f.add("train/b/9002L.png");
  f.add("val/a/9001R.png");
  f.add_bytes("val/b/9003R.png", "never opened");
  f.add("test/b/9004R.png");
  auto config = f.config();
  config.split.mode = "folders";
  config.subject_regex = "([0-9]+)[LR]";
  const auto failure = f.failure(config);
  EXPECT_THAT(failure, HasSubstr("subject '9001'"));
  EXPECT_THAT(failure, HasSubstr("train/a/9001L.png and val/a/9001R.png"));
}

TEST(Ingest, HalvesTheValidationSubjects) {
  IngestFixture f;
  for (int i = 0; i < 40; ++i) {
    const std::string label = i % 4 ? "a/" : "b/";
    f.add((i < 20 ? "train/" : "val/") + label + std::to_string(9000 + i) + "L.png");
    f.add((i < 20 ? "train/" : "val/") + label + std::to_string(9000 + i) + "R.png");
  }
  auto config = f.config();
  config.split.mode = "folders";
  config.split.halve_val = true;
  config.subject_regex = "([0-9]+)[LR]";
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["train_subjects"], 20);
  EXPECT_EQ(metrics["val_subjects"], 10);
  EXPECT_EQ(metrics["test_subjects"], 10);
  EXPECT_EQ(metrics["val_images"], 20);
  EXPECT_NEAR(metrics["val_images_b"].get<double>(), 5, 1);
  const ImageSet set(f.dir / "ingest/images.h5");
  for (int64_t i = 0; i < set.size(); ++i)
    EXPECT_EQ(set.record(i).split == Split::train, set.record(i).path.starts_with("train/"));
}

TEST(Ingest, ReadsTheKneesOfOai) {
  const char* given = std::getenv("STYLESCOPE_DATA");
  const fs::path data =
      given ? fs::path(given) : fs::path(STYLESCOPE_SOURCE_DIR) / "../shared/data";
  if (!fs::is_directory(data / "oai-knee"))
    GTEST_SKIP() << "no OAI knees: set STYLESCOPE_DATA to the folder that holds oai-knee/";
  IngestFixture f;
  for (const fs::path split : {"train", "val"}) {
    for (const fs::path grade : {"0", "1", "2", "3"}) {
      fs::create_directories(f.pictures() / split / grade);
      std::vector<fs::path> files;
      for (const auto& entry : fs::directory_iterator(data / "oai-knee" / split / grade))
        files.push_back(entry.path());
      std::sort(files.begin(), files.end());
      files.resize(25);
      for (const auto& file : files)
        fs::create_symlink(fs::absolute(file), f.pictures() / split / grade / file.filename());
    }
  }
  auto config = f.config();
  config.resolution = 32;
  config.split.mode = "folders";
  config.split.halve_val = true;
  config.subject_regex = "([0-9]+)[LR]";
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics["images"], 200);
  EXPECT_EQ(metrics["train_images"], 100);
  EXPECT_LE(std::abs(metrics["val_subjects"].get<int>() - metrics["test_subjects"].get<int>()), 1);
  const ImageSet set(f.dir / "ingest/images.h5");
  EXPECT_EQ(set.record(0).subject.size(), 7);
  EXPECT_GT(set.read({0, 100, 199}).to(torch::kFloat64).std().item<double>(), 20);
}

// Different pictures; "copy" is one of another subject that lies in another split.
void add_a_copy(const IngestFixture& f) {
  for (int i = 0; i < 30; ++i) {
    torch::manual_seed(i);
    for (const std::string split : {"train", "val", "test"}) {
      const auto path =
          f.pictures() / split / (i % 2 ? "b" : "a") / (split + std::to_string(10 + i) + ".png");
      fs::create_directories(path.parent_path());
      write_png(path, torch::randint(0, 256, {1, 16, 16}, torch::kUInt8));
    }
  }
  fs::copy_file(f.pictures() / "test/a/test14.png", f.pictures() / "train/a/copy.png");
}

TEST(IngestAudit, StopsOnACopyInAnotherSplit) {
  IngestFixture f;
  add_a_copy(f);
  auto config = f.config();
  config.split.mode = "folders";
  const auto failure = f.failure(config);
  EXPECT_THAT(failure, HasSubstr("1 pair of images of different splits are nearly the same"));
  EXPECT_THAT(failure, HasSubstr("train/a/copy.png (train) and test/a/test14.png (test)"));
  EXPECT_THAT(failure, HasSubstr("ingest/audit.png"));
  EXPECT_THAT(failure, HasSubstr("ingest.audit.near_duplicates: drop"));
  EXPECT_TRUE(fs::exists(f.dir / "ingest/audit.png"));
  EXPECT_THAT(read_text(f.dir / "ingest/audit.csv"), HasSubstr("\nyes,train/a/copy.png,"));
  EXPECT_FALSE(fs::exists(f.dir / "ingest/images.h5"));
}

TEST(IngestAudit, DropLeavesTheTrainingCopyOutAndNothingElse) {
  IngestFixture f;
  add_a_copy(f);
  auto config = f.config();
  config.split.mode = "folders";
  config.audit.near_duplicates = "off";
  EXPECT_FALSE(f.run(config, "all").contains("near_duplicates"));
  config.audit.near_duplicates = "drop";
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics.at("near_duplicates"), 1);
  EXPECT_EQ(metrics.at("near_duplicates_left_out"), 1);
  EXPECT_EQ(metrics.at("images"), 90);
  EXPECT_EQ(metrics.at("train_images"), 30);
  const ImageSet all(f.dir / "all/images.h5"), rest(f.dir / "ingest/images.h5");
  ASSERT_EQ(all.size(), 91);
  ASSERT_EQ(rest.size(), 90);
  EXPECT_NE(all.id(), rest.id());
  for (int64_t from = 0, to = 0; from < all.size(); ++from) {
    if (all.record(from).path == "train/a/copy.png") continue;
    EXPECT_EQ(rest.record(to).path, all.record(from).path);
    EXPECT_EQ(rest.record(to).subject, all.record(from).subject);
    EXPECT_TRUE(rest.read({to}).equal(all.read({from})));
    ++to;
  }
}

TEST(IngestAudit, WarnKeepsTheCopy) {
  IngestFixture f;
  add_a_copy(f);
  auto config = f.config();
  config.split.mode = "folders";
  config.audit.near_duplicates = "warn";
  const auto metrics = f.run(config);
  EXPECT_EQ(metrics.at("near_duplicates"), 1);
  EXPECT_EQ(metrics.at("images"), 91);
}

}  // namespace
}  // namespace stylescope
