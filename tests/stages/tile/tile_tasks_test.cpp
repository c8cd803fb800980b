// The stage shared out to tasks that work in one folder.
#include "io/atomic_file.hpp"
#include "stages/tile/slide_list.hpp"
#include "tests/io/faults.hpp"
#include "tests/stages/tile/made_slides.hpp"
#include "tests/stages/tile/tile_run.hpp"

#include <algorithm>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using namespace testing_support;
using testing::HasSubstr;

class TileTasks : public testing::Test {
 protected:
  void SetUp() override { write_made_set(slides(), 4, 4); }
  fs::path slides() const { return dir_ / "slides"; }
  TileConfig config() const { return made_config(slides()); }
  fs::path out() const { return dir_ / "tile.partial"; }
  nlohmann::json task(int64_t task, int64_t tasks, const TileConfig& config) {
    SelfCommunicator world;
    return run_tile_into(config, world, dir_.path(), "tile.partial", task, tasks);
  }
  nlohmann::json whole(const std::string& name, const TileConfig& config) {
    SelfCommunicator world;
    return run_tile_into(config, world, dir_.path(), name);
  }
  // Names of the slides whose shard is there.
  std::set<std::string> made() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(out() / "shards"))
      if (entry.path().extension() == ".h5") names.insert(entry.path().stem().string());
    return names;
  }

  TempDir dir_;
};

TEST_F(TileTasks, MakeTheirSharesAndTheWholeRunPutsThemTogether) {
  const auto list = list_slides(config(), slides(), 5);
  std::set<std::string> expected;
  for (int64_t k = 0; k < 3; ++k) {
    EXPECT_TRUE(task(k, 3, config()).empty());
    for (size_t i = static_cast<size_t>(k); i < list.slides.size(); i += 3)
      expected.insert(list.slides[i].name);
    EXPECT_EQ(made(), expected) << k;
    for (const char* of_all : {"images.h5", "bad_files.csv", "slides.csv", "contact_sheet.png"})
      EXPECT_FALSE(fs::exists(out() / of_all)) << of_all;
  }
  const auto time = fs::last_write_time(out() / "shards" / "normal_001.h5");
  const auto metrics = whole("tile.partial", config());
  EXPECT_EQ(time, fs::last_write_time(out() / "shards" / "normal_001.h5")) << "made once";
  const auto alone = whole("alone", config());
  EXPECT_EQ(tile_files(out()), tile_files(dir_ / "alone"));
  for (const char* name : {"images", "slides", "bad_slides", "bytes"})
    EXPECT_EQ(metrics.at(name), alone.at(name)) << name;
}

TEST_F(TileTasks, TheWholeRunMakesWhatNoTaskMade) {
  task(1, 2, config());
  EXPECT_EQ(made().size(), 4u);
  whole("tile.partial", config());
  whole("alone", config());
  EXPECT_EQ(tile_files(out()), tile_files(dir_ / "alone"));
}

TEST_F(TileTasks, MoreTasksThanSlides) {
  EXPECT_TRUE(task(20, 21, config()).empty());
  EXPECT_TRUE(made().empty());
}

TEST_F(TileTasks, LeaveAloneWhatOthersHaveBegun) {
  const auto list = list_slides(config(), slides(), 5);
  const std::string& mine = list.slides[0].name;
  const std::string& other = list.slides[1].name;
  for (const char* folder : {"shards", "slides", "queue.task-1"})
    fs::create_directories(out() / folder);
  for (const auto& name : {mine, other}) {
    overwrite(out() / "shards" / (name + ".h5.partial"), "half");
    overwrite(out() / "slides" / (name + ".json.tmp7-8"), "half");
  }
  overwrite(out() / "images.h5.tmp7-8", "half");
  overwrite(out() / "queue.task-1" / "0", "");
  task(0, 2, config());
  for (const auto& [name, there] : {std::pair{mine, false}, {other, true}}) {
    EXPECT_EQ(fs::exists(out() / "shards" / (name + ".h5.partial")), there) << name;
    EXPECT_EQ(fs::exists(out() / "slides" / (name + ".json.tmp7-8")), there) << name;
  }
  EXPECT_TRUE(fs::exists(out() / "queue.task-1" / "0"));
  EXPECT_FALSE(fs::exists(out() / "queue.task-0"));
  // Whoever works alone there clears all of it.
  whole("tile.partial", config());
  whole("alone", config());
  EXPECT_FALSE(fs::exists(out() / "queue.task-1"));
  EXPECT_EQ(tile_files(out()), tile_files(dir_ / "alone"));
}

TEST_F(TileTasks, ABadSlideIsReportedByTheWholeRun) {
  MadeSlide glass;
  glass.tissue = {};
  write_made(slides() / "normal_060.tif", glass);
  for (int64_t k = 0; k < 2; ++k) task(k, 2, config());
  const auto state = nlohmann::json::parse(read_text(out() / "slides" / "normal_060.json"));
  EXPECT_EQ(state.at("status"), "bad");
  EXPECT_THAT(tile_failure(config(), dir_.path()), HasSubstr("1 of 9 slides cannot be used"));
  EXPECT_THAT(read_text(out() / "bad_files.csv"), HasSubstr("normal_060.tif"));
  auto tolerant = config();
  tolerant.max_bad_fraction = 0.2;
  EXPECT_EQ(whole("tile.partial", tolerant).at("bad_slides"), 1);
}

TEST_F(TileTasks, AListThatIsTooBadStopsThemAtOnce) {
  auto named = config();
  named.subject_regex = "^(tumor_[0-9]*)";
  try {
    task(0, 2, named);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("4 of 8 slides cannot be used"));
  }
  EXPECT_TRUE(made().empty());
}

TEST_F(TileTasks, SlidesAreCountedWithoutBeingOpened) {
  EXPECT_EQ(count_slides(config(), 5), 8);
  std::ofstream(slides() / "normal_009.tif") << "no slide at all";
  EXPECT_EQ(count_slides(config(), 5), 9);
  TileConfig drawn;
  drawn.source = "phantom";
  drawn.phantom.slides = 7;
  EXPECT_EQ(count_slides(drawn, 5), 7);
}

}  // namespace
}  // namespace stylescope
