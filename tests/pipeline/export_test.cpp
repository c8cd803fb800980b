// export images: data sets of other programs.
#include "io/base/error.hpp"
#include "io/pcam_file.hpp"
#include "io/stylegan_set.hpp"
#include "io/zip_archive.hpp"
#include "pipeline/export_images.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using ::testing::HasSubstr;
using testing_support::TempDir;

// A run directory with nine images, three a split, in colour.
class ExportImages : public testing::Test {
 protected:
  ExportImages() {
    fs::create_directories(dir_ / "run/ingest");
    ImageSetWriter writer(dir_ / "run/ingest/images.h5", 3, 16, 16, {"normal", "tumor"}, "{}");
    torch::manual_seed(1);
    for (int64_t i = 0; i < 9; ++i)
      writer.append(torch::randint(0, 256, {3, 16, 16}, torch::kUInt8),
                    {i % 2, static_cast<Split>(i / 3), "s" + std::to_string(i), "p", {}});
    writer.close();
  }
  ExportSource source(const std::string& out, const std::string& split = "") const {
    return {(dir_ / "run").string(), (dir_ / out).string(), split};
  }
  void run(const std::string& out, const std::string& form, const std::string& split = "") {
    source(out, split).prepare();
    export_images(source(out, split), form, self_);
  }
  TempDir dir_;
  SelfCommunicator self_;
};

TEST_F(ExportImages, AsAZipAFolderAndPcam) {
  const ImageSet images(dir_ / "run/ingest/images.h5");
  run("all.zip", "stylegan2");
  EXPECT_EQ(StyleganSet(dir_ / "all.zip").records().size(), 9U);
  run("val", "stylegan2", "val");
  const StyleganSet val(dir_ / "val");
  ASSERT_EQ(val.records().size(), 3U);
  EXPECT_TRUE(val.picture(1, 3).equal(images.read({4})[0]));
  EXPECT_EQ(val.records()[1].split, Split::val);
  run("pcam", "pcam");
  PcamFile test(dir_ / "pcam", "test");
  ASSERT_EQ(test.size(), 3);
  EXPECT_TRUE(test.image(2).equal(images.read({8})[0]));
  EXPECT_EQ(test.record(2).label, 0);
  run("pcam-train", "pcam", "train");
  EXPECT_FALSE(fs::exists(dir_ / "pcam-train/camelyonpatch_level_2_split_valid_x.h5"));
}

TEST_F(ExportImages, WhatIsThereIsNotWrittenOver) {
  run("a.zip", "stylegan2");
  EXPECT_THROW(source("a.zip").prepare(), UsageError);
  ExportSource none = source("b.zip");
  none.source = (dir_ / "nothing").string();
  EXPECT_THROW(none.prepare(), UsageError);
  fs::create_directories(dir_ / "empty");
  run("empty", "stylegan2");
  EXPECT_EQ(StyleganSet(dir_ / "empty").records().size(), 9U);
  run("slash/", "stylegan2");
  EXPECT_EQ(StyleganSet(dir_ / "slash").records().size(), 9U);
  fs::create_directories(dir_ / "mine.partial/kept");
  try {
    run("mine", "stylegan2");
    FAIL() << "the folder mine.partial is somebody's";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("mine.partial: is there already"));
  }
  EXPECT_TRUE(fs::exists(dir_ / "mine.partial/kept"));
}

}  // namespace
}  // namespace stylescope
