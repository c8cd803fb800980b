#include "io/stage_state.hpp"

#include "tests/io/faults.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::overwrite;
using testing_support::TempDir;

TEST(StageState, GivesBackWhatWasWritten) {
  TempDir dir;
  const auto file = dir / progress_file_name();
  write_state(file, StageProgress{"gan", 3, 12, 4.5, "img", 20, 1e9, {{"loss", 0.25}}});
  const auto read = read_state<StageProgress>(file);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->title, "gan");
  EXPECT_EQ(read->step, 3);
  EXPECT_EQ(read->seconds_left, 20);
  EXPECT_EQ(read->figures.at(0), (std::pair<std::string, double>{"loss", 0.25}));
  int64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path()))
    files += entry.is_regular_file();
  EXPECT_EQ(files, 1) << "nothing temporary stays";
}

TEST(StageState, WhatCannotBeReadIsNothing) {
  TempDir dir;
  EXPECT_FALSE(read_state<StageOutcome>(dir / "gone.json"));
  overwrite(dir / "half.json", R"({"state": "runn)");
  EXPECT_FALSE(read_state<StageOutcome>(dir / "half.json"));
  overwrite(dir / "other.json", R"({"state": 5})");
  EXPECT_FALSE(read_state<StageOutcome>(dir / "other.json"));
}

TEST(StageState, WhatCannotBeWrittenEndsNothing) {
  TempDir dir;
  overwrite(dir / "file", "");
  write_state(dir / "file" / "progress.json", StageProgress{});
  write_state(dir / "name.json", StageOutcome{"failed", "caf\xe9.tif: is damaged", "n1", 1, 0});
  const auto read = read_state<StageOutcome>(dir / "name.json");
  ASSERT_TRUE(read) << "a file name that is no UTF-8";
  EXPECT_NE(read->cause.find(".tif: is damaged"), std::string::npos);
}

TEST(StageState, Names) {
  EXPECT_EQ(session_name("tile"), "tile");
  EXPECT_EQ(session_name("tile", 3), "tile.task-3");
  EXPECT_EQ(progress_file_name(), "progress.json");
  EXPECT_EQ(progress_file_name(0), "progress.task-0.json");
  EXPECT_EQ(outcome_file("run", session_name("tile", 2)), "run/.tile.task-2.outcome.json");
  for (const char* news : {"progress.json", "progress.task-12.json", "checkpoint_times.json",
                           "progress.json.tmp-77-5", "checkpoint_times.json.tmp-77-5"})
    EXPECT_TRUE(is_stage_news(news)) << news;
  for (const char* other : {"metrics.jsonl", "progress.png", "slides/progress.json", "stage.json"})
    EXPECT_FALSE(is_stage_news(other)) << other;
}

}  // namespace
}  // namespace stylescope
