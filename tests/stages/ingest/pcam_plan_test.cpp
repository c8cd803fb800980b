#include "io/hdf5_file.hpp"
#include "io/image_set.hpp"
#include "io/pcam_file.hpp"
#include "stages/artifacts.hpp"
#include "tests/stages/ingest/ingest_fixture.hpp"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing_support::IngestFixture;

// PatchCamelyon's files with `count` images a split; image i is grey i.
void write_pcam(const std::filesystem::path& dir, int64_t count, bool csv) {
  std::filesystem::create_directories(dir);
  for (const std::string split : {"train", "valid", "test"}) {
    const auto name = [&](const char* part) {
      return dir / ("camelyonpatch_level_2_split_" + split + "_" + part);
    };
    auto x = torch::empty({count, 96, 96, 3}, torch::kUInt8);
    auto y = torch::empty({count, 1, 1, 1}, torch::kUInt8);
    std::string text = ",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi\n";
    for (int64_t i = 0; i < count; ++i) {
      x[i].fill_(i);
      y[i].fill_(i % 2);
      text += std::to_string(i) + ",10,20,True,True," + split + "_slide_" + std::to_string(i / 4) +
              "\n";
    }
    hdf5::File images = hdf5::File::create(name("x.h5"), "");
    images.write("x", x);
    images.close();
    hdf5::File labels = hdf5::File::create(name("y.h5"), "");
    labels.write("y", y);
    labels.close();
    if (csv) std::ofstream(name("meta.csv")) << text;
  }
}

IngestConfig pcam_config(const IngestFixture& fixture) {
  auto config = fixture.config();
  config.source = "pcam";
  config.channels = 3;
  config.resolution = 32;
  config.split.mode = "folders";
  return config;
}

TEST(Pcam, ItsOwnSplitsLabelsAndSlides) {
  IngestFixture fixture;
  write_pcam(fixture.pictures(), 24, true);
  const auto metrics = fixture.run(pcam_config(fixture));
  EXPECT_EQ(metrics.at("images"), 72);
  EXPECT_EQ(metrics.at("train_subjects"), 6);
  const ImageSet images(fixture.dir / artifacts::images);
  const auto pixels = images.read({5, 30})[0];
  EXPECT_TRUE(pixels.eq(5).all().item<bool>());
  EXPECT_EQ(pixels.size(1), 32);
  EXPECT_EQ(images.record(5).label, 1);
  EXPECT_EQ(images.record(5).slide, "train_slide_1");
  EXPECT_EQ(images.record(5).subject, "train_slide_1");
  EXPECT_EQ(images.record(30).split, Split::val);
  EXPECT_EQ(images.record(71).split, Split::test);
}

// images.h5 -> PatchCamelyon's files -> ingest: the same pixels, labels, slides and splits.
TEST(Pcam, WhatWasExportedComesBackAsItWas) {
  IngestFixture fixture;
  {
    ImageSetWriter writer(fixture.dir / "images.h5", 3, 32, 32, {"normal", "tumor"}, "{}");
    torch::manual_seed(1);
    for (int64_t i = 0; i < 30; ++i) {
      ImageRecord record{i % 2, static_cast<Split>(i / 10), "", "tile", {}};
      record.slide = record.subject = "slide_" + std::to_string(i / 5);
      record.x = 128.0 * static_cast<double>(i);
      record.y = 7;
      writer.append(torch::randint(0, 256, {3, 32, 32}, torch::kUInt8), record);
    }
    writer.close();
  }
  const ImageSet first(fixture.dir / "images.h5");
  std::vector<int64_t> rows(30);
  std::iota(rows.begin(), rows.end(), 0);
  write_pcam_set(fixture.pictures(), first, "images.h5", rows);
  fixture.run(pcam_config(fixture));
  const ImageSet second(fixture.dir / artifacts::images);
  ASSERT_EQ(second.size(), 30);
  EXPECT_TRUE(second.read(rows).equal(first.read(rows)));
  for (const int64_t i : rows) {
    EXPECT_EQ(second.record(i).label, first.record(i).label);
    EXPECT_EQ(second.record(i).split, first.record(i).split);
    EXPECT_EQ(second.record(i).subject, first.record(i).subject);
    EXPECT_EQ(second.record(i).slide, first.record(i).slide);
    EXPECT_EQ(second.record(i).x, first.record(i).x);
    EXPECT_EQ(second.record(i).y, first.record(i).y);
  }
}

TEST(Pcam, WhatItsFilesCannotHoldIsNotExported) {
  IngestFixture fixture;
  const auto failure = [&](int64_t channels, const std::vector<std::string>& names) {
    ImageSetWriter writer(fixture.dir / "images.h5", channels, 16, 16, names, "{}");
    writer.append(torch::zeros({channels, 16, 16}, torch::kUInt8), {0, Split::train, "s", "p", {}});
    writer.close();
    try {
      write_pcam_set(fixture.pictures(), ImageSet(fixture.dir / "images.h5"), "images.h5", {0});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(failure(1, {"a", "b"}), HasSubstr("images.h5: its images have 1 channels"));
  EXPECT_THAT(failure(3, {"a", "b", "c"}), HasSubstr("images.h5: has 3 classes"));
  EXPECT_FALSE(std::filesystem::exists(fixture.pictures()));
  // Without slides there is no csv, and the rest is there.
  EXPECT_EQ(failure(3, {"a", "b"}), "");
  const auto files = fixture.pictures() / "camelyonpatch_level_2_split_train_";
  EXPECT_TRUE(std::filesystem::exists(files.string() + "y.h5"));
  EXPECT_FALSE(std::filesystem::exists(files.string() + "meta.csv"));
}

TEST(Pcam, WithoutTheCsvEveryImageIsItsOwnSubject) {
  IngestFixture fixture;
  write_pcam(fixture.pictures(), 6, false);
  EXPECT_EQ(fixture.run(pcam_config(fixture)).at("train_subjects"), 6);
}

TEST(Pcam, WhatIsMissingIsNamed) {
  IngestFixture fixture;
  write_pcam(fixture.pictures(), 6, true);
  std::filesystem::remove(fixture.pictures() / "camelyonpatch_level_2_split_test_y.h5");
  EXPECT_THAT(fixture.failure(pcam_config(fixture)), HasSubstr("split_test_y.h5"));
  auto grey = pcam_config(fixture);
  grey.channels = 1;
  EXPECT_THAT(fixture.failure(grey), HasSubstr("ingest.channels: 1 (PatchCamelyon is stained"));
}

TEST(Pcam, TheFingerprintFollowsTheFiles) {
  IngestFixture fixture;
  write_pcam(fixture.pictures(), 6, true);
  const auto config = pcam_config(fixture);
  const auto before = ingest_fingerprint(config);
  EXPECT_EQ(before, ingest_fingerprint(config));
  std::filesystem::resize_file(fixture.pictures() / "camelyonpatch_level_2_split_test_meta.csv", 5);
  EXPECT_NE(before, ingest_fingerprint(config));
}

}  // namespace
}  // namespace stylescope
