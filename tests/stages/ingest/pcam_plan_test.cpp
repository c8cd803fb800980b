#include "io/hdf5_file.hpp"
#include "io/image_set.hpp"
#include "stages/artifacts.hpp"
#include "tests/stages/ingest/ingest_fixture.hpp"

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
