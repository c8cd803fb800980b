// The stage on 1, 2 and 4 ranks: the same files as one rank makes alone.
#include "stages/tile/slide_queue.hpp"
#include "tests/stages/tile/made_slides.hpp"
#include "tests/stages/tile/tile_run.hpp"
#include "tests/support/shared_run.hpp"
#include "tests/support/world.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using namespace testing_support;

TEST(SlideQueue, EveryNumberOnceAndInOrder) {
  Communicator& world = testing_support::world();
  SharedRun run(world, [](const auto&) {});
  SlideQueue queue(world, run.path() / "queue", 50);
  std::vector<int64_t> taken;
  while (const auto next = queue.take()) taken.push_back(*next);
  EXPECT_TRUE(std::is_sorted(taken.begin(), taken.end()));
  queue.close();
  auto mine = torch::zeros({50}, torch::kInt64);
  for (const int64_t i : taken) mine[i] += 1;
  world.all_reduce(mine);
  EXPECT_TRUE(mine.eq(1).all().item<bool>());
  EXPECT_FALSE(std::filesystem::exists(run.path() / "queue"));
}

TEST(TileRanks, TheSameFilesAsOnOneRank) {
  Communicator& world = testing_support::world();
  SharedRun run(world, [](const auto& dir) { write_made_set(dir / "slides", 6, 4); });
  auto config = made_config(run.path() / "slides");
  config.sample.positive = 4;
  config.sample.negative = 10;
  const auto together = run_tile_into(config, world, run.path(), "ranks");
  if (!world.is_root()) return;
  SelfCommunicator self;
  const auto alone = run_tile_into(config, self, run.path(), "alone");
  EXPECT_EQ(together.at("images"), alone.at("images"));
  EXPECT_EQ(tile_files(run.path() / "ranks"), tile_files(run.path() / "alone"));
}

TEST(TileRanks, TasksOnRanksMakeTheSameFiles) {
  Communicator& world = testing_support::world();
  SharedRun run(world, [](const auto& dir) { write_made_set(dir / "slides", 4, 4); });
  const auto config = made_config(run.path() / "slides");
  for (int64_t k = 0; k < 2; ++k) run_tile_into(config, world, run.path(), "tasks", k, 2);
  run_tile_into(config, world, run.path(), "tasks");
  if (!world.is_root()) return;
  SelfCommunicator self;
  run_tile_into(config, self, run.path(), "alone");
  EXPECT_EQ(tile_files(run.path() / "tasks"), tile_files(run.path() / "alone"));
}

}  // namespace
}  // namespace stylescope
