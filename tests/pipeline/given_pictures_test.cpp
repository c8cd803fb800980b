#include "pipeline/given_pictures.hpp"

#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using ::testing::HasSubstr;
using testing_support::TempDir;

// A film whose columns are 0, 1, 2, ... 7.
std::string film(const TempDir& dir) {
  const auto file = dir / "film.png";
  write_png(file, torch::arange(8, torch::kUInt8).expand({1, 6, 8}).contiguous());
  return file.string();
}

std::vector<int64_t> columns(const Config& config, const PictureOptions& options,
                             const std::string& file) {
  const auto pixels = GivenPictures(config, options).of(file).read(1);
  const auto row = pixels[0][0].to(torch::kLong).contiguous();
  return {row.data_ptr<int64_t>(), row.data_ptr<int64_t>() + row.numel()};
}

std::string refused(const Config& config, const PictureOptions& options) {
  try {
    GivenPictures(config, options);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

using Columns = std::vector<int64_t>;

TEST(GivenPictures, AreCutAndMirroredAsTheRunDid) {
  const TempDir dir;
  const auto file = film(dir);
  Config config;
  EXPECT_EQ(columns(config, {}, file), (Columns{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(columns(config, {"", "1,0,3,2"}, file), (Columns{1, 2, 3}));
  config.ingest.source = "table";
  config.ingest.knees.bilateral = "split";
  config.ingest.knees.mirror = "left";
  EXPECT_EQ(columns(config, {"R", ""}, file), (Columns{0, 1, 2, 3}));
  EXPECT_EQ(columns(config, {"L", ""}, file), (Columns{7, 6, 5, 4}));
  EXPECT_EQ(columns(config, {"L", "1,0,3,2"}, file), (Columns{3, 2, 1}));
  EXPECT_EQ(columns(config, {}, file), (Columns{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(GivenPictures(config, {}).of(file).name, "film.png");
}

TEST(GivenPictures, HaveTheSideOfTheirNameWhereTheRunLookedThere) {
  const TempDir dir;
  const auto file = film(dir);
  const auto left = (dir / "4711L.png").string(), right = (dir / "4711R.png").string();
  std::filesystem::copy_file(file, left);
  std::filesystem::copy_file(file, right);
  Config config;
  config.ingest.knees.mirror = "left";
  const Columns plain{0, 1, 2, 3, 4, 5, 6, 7}, mirrored{7, 6, 5, 4, 3, 2, 1, 0};
  EXPECT_EQ(columns(config, {}, left), plain);
  config.ingest.knees.side_regex = "[0-9]([LR])";
  EXPECT_EQ(columns(config, {}, left), mirrored);
  EXPECT_EQ(columns(config, {}, right), plain);
  EXPECT_EQ(columns(config, {}, file), plain);
  EXPECT_EQ(columns(config, {"R", ""}, left), plain);
  EXPECT_THAT(GivenPictures(config, {}).assumption(),
              HasSubstr("without a side in its name (ingest.knees.side_regex) or DICOM header"));
}

TEST(GivenPictures, SayWhatIsTakenForGranted) {
  Config config;
  EXPECT_EQ(GivenPictures(config, {}).assumption(), "");
  config.ingest.knees.mirror = "left";
  EXPECT_THAT(GivenPictures(config, {}).assumption(), HasSubstr("of a right knee"));
  EXPECT_EQ(GivenPictures(config, {"L", ""}).assumption(), "");
  config.ingest.knees.bilateral = "split";
  EXPECT_THAT(GivenPictures(config, {}).assumption(), HasSubstr("already cut out"));
}

TEST(GivenPictures, RefuseWhatDoesNotFit) {
  Config config;
  EXPECT_THAT(refused(config, {"L", ""}), HasSubstr("neither cuts films nor mirrors"));
  for (const auto* box : {"1,2,3", "1,2,3,x", "1,2,0,4", "-1,2,3,4", "1,2,3,4,5",
                          "9223372036854775807,0,1,1", "0,0,4,4000000000"})
    EXPECT_THAT(refused(config, {"", box}), HasSubstr("is no box")) << box;
  const TempDir dir;
  const auto given = GivenPictures(config, {"", "4,0,5,2"}).of(film(dir));
  try {
    given.read(1);
    FAIL() << "the box lies outside";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("of --box does not lie in the picture, which is 8 x 6"));
  }
}

}  // namespace
}  // namespace stylescope
