#include "io/atomic_file.hpp"
#include "tests/stages/tile/made_slides.hpp"
#include "tests/stages/tile/tile_run.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using ::testing::HasSubstr;
using namespace testing_support;

class TileAudit : public testing::Test {
 protected:
  void SetUp() override { write_made_set(slides(), 4, 4); }
  fs::path slides() const { return dir_ / "slides"; }
  TileConfig config() const { return made_config(slides()); }
  nlohmann::json run(const TileConfig& config, const std::string& out = "tile.partial") {
    SelfCommunicator world;
    return run_tile_into(config, world, dir_.path(), out);
  }
  std::string failure(const TileConfig& config) { return tile_failure(config, dir_.path()); }

  TempDir dir_;
};

// A slide that lies there under two names, as two subjects: found by what was kept of its tiles
// while they were in memory, and by reading them again where that is gone.
TEST_F(TileAudit, ACopyOfASlideInAnotherSplitStopsTheStage) {
  auto plain = config();
  plain.audit.near_duplicates = "off";
  EXPECT_FALSE(run(plain, "off").contains("near_duplicates"));
  EXPECT_FALSE(fs::exists(dir_ / "off/slides/normal_001.prints.safetensors"));
  // Which subject is in which split is drawn: among these names two splits have a copy.
  for (const char* copy : {"copy_1", "copy_2", "copy_3", "copy_4"})
    fs::copy_file(slides() / "normal_001.tif", slides() / (std::string(copy) + ".tif"));
  auto stops = config();
  stops.audit.near_duplicates = "stop";
  const auto text = failure(stops);
  EXPECT_THAT(text, HasSubstr("of images of different splits are nearly the same"));
  EXPECT_THAT(text, HasSubstr("correlation 1.0000"));
  EXPECT_THAT(text, HasSubstr("set tile.audit.near_duplicates: warn or off"));
  EXPECT_TRUE(fs::exists(dir_ / "tile.partial/audit.png"));
  const auto list = read_text(dir_ / "tile.partial/audit.csv");
  EXPECT_THAT(list, HasSubstr(".tif at "));
  // The slides that were made stay, and another answer to the audit takes them as they are.
  const auto shard = dir_ / "tile.partial/shards/normal_002.h5";
  const auto time = fs::last_write_time(shard);
  for (const auto& entry : fs::directory_iterator(dir_ / "tile.partial/slides"))
    if (entry.path().string().ends_with(".prints.safetensors")) fs::remove(entry.path());
  EXPECT_GT(run(config()).at("near_duplicates").get<int64_t>(), 79);
  EXPECT_EQ(time, fs::last_write_time(shard));
  EXPECT_EQ(list, read_text(dir_ / "tile.partial/audit.csv"));
  stops.audit.near_duplicates = "drop";
  EXPECT_THROW(stops.check(), UsageError);
}

}  // namespace
}  // namespace stylescope
