#include "pipeline/startup_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using Level = Finding::Level;

// Two hosts of 4 cores, two ranks of 2 threads on each.
std::vector<RankFacts> healthy() {
  std::vector<RankFacts> ranks(4);
  for (size_t r = 0; r < ranks.size(); ++r)
    ranks[r] = {r < 2 ? "node1" : "node2", {0, 1, 2, 3}, 2, "", 0, "program", "config", true};
  return ranks;
}

std::vector<std::string> texts_of(const std::vector<Finding>& found, Level level) {
  std::vector<std::string> texts;
  for (const auto& finding : found)
    if (finding.level == level) texts.push_back(finding.text);
  return texts;
}

// The only complaint, whatever its level.
std::string complaint(const std::vector<Finding>& found, Level level) {
  const auto texts = texts_of(found, level);
  const auto other = texts_of(found, level == Level::failure ? Level::warning : Level::failure);
  EXPECT_EQ(texts.size(), 1U);
  EXPECT_THAT(other, IsEmpty());
  return texts.empty() ? "" : texts.front();
}

TEST(StartupCheck, NothingIsSaidOfAHealthyJobButItsMap) {
  const auto found = check_ranks(healthy());
  EXPECT_THAT(texts_of(found, Level::note),
              testing::ElementsAre("node1: 2 rank(s) from 0, 4 thread(s) on 4 core(s)",
                                   "node2: 2 rank(s) from 2, 4 thread(s) on 4 core(s)"));
  EXPECT_EQ(found.size(), 2U);
}

TEST(StartupCheck, SingletonsOfSrun) {
  const auto text = complaint(check_world(1, {false, 4, 4}), Level::failure);
  EXPECT_THAT(text, HasSubstr("srun started 4 tasks"));
  EXPECT_THAT(text, HasSubstr("srun --mpi=pmix"));
  EXPECT_THAT(complaint(check_world(3, {false, 4, 4}), Level::failure), HasSubstr("found 3 ranks"));
  EXPECT_THAT(check_world(4, {false, 4, 4}), IsEmpty());
  EXPECT_THAT(check_world(1, {false, -1, -1}), IsEmpty());
  // mpirun's daemons run in a step of their own, one a node.
  EXPECT_THAT(check_world(8, {true, 2, 8}), IsEmpty());
  // A batch script that calls the program itself.
  EXPECT_THAT(complaint(check_world(1, {false, -1, 4}), Level::warning), HasSubstr("4 tasks"));
}

TEST(StartupCheck, AnotherProgramOrConfiguration) {
  auto ranks = healthy();
  ranks[3].program = "older";
  EXPECT_THAT(complaint(check_ranks(ranks), Level::failure),
              HasSubstr("rank 3 on node2 runs another program than rank 0 on node1"));
  ranks = healthy();
  ranks[1].config = "edited";
  EXPECT_THAT(complaint(check_ranks(ranks), Level::failure),
              HasSubstr("rank 1 on node1 has another configuration"));
}

TEST(StartupCheck, ARunDirectoryThatIsNotShared) {
  auto ranks = healthy();
  ranks[2].sees_run_dir = ranks[3].sees_run_dir = false;
  const auto text = complaint(check_ranks(ranks), Level::failure);
  EXPECT_THAT(text, HasSubstr("rank 2 on node2 does not see what rank 0 on node1 writes"));
  EXPECT_THAT(text, HasSubstr("choose a run_dir that all hosts share"));
}

TEST(StartupCheck, TooManyThreads) {
  auto ranks = healthy();
  ranks[0].threads = 4;
  EXPECT_THAT(complaint(check_ranks(ranks), Level::warning),
              HasSubstr("node1: 2 rank(s) with 6 threads together share 4 core(s)"));
  // Each rank bound to cores of its own, fewer than its threads.
  ranks = healthy();
  ranks[0].cores = {0};
  ranks[1].cores = {1, 2, 3};
  EXPECT_THAT(complaint(check_ranks(ranks), Level::warning),
              HasSubstr("rank 0 on node1 has 2 threads and is bound to 1 core(s)"));
}

TEST(StartupCheck, GpusSharedOrIdle) {
  auto ranks = healthy();
  for (size_t r = 0; r < ranks.size(); ++r) {
    ranks[r].gpu = std::to_string(r % 2);
    ranks[r].gpus = 2;
  }
  EXPECT_THAT(texts_of(check_ranks(ranks), Level::note)[0], HasSubstr("GPU 0 1"));
  EXPECT_THAT(texts_of(check_ranks(ranks), Level::warning), IsEmpty());
  ranks[3].gpu = "0";
  EXPECT_THAT(complaint(check_ranks(ranks), Level::warning),
              HasSubstr("ranks 2 and 3 on node2 share GPU 0"));
  ranks[3].gpu = "1";
  ranks[0].gpus = 4;
  EXPECT_THAT(complaint(check_ranks(ranks), Level::warning), HasSubstr("2 of them will idle"));
}

TEST(StartupCheck, LittleSpaceOnTheDisk) {
  constexpr int64_t kMegabyte = 1 << 20;
  EXPECT_THAT(complaint(check_disk("runs/a", kMegabyte / 2), Level::failure),
              HasSubstr("runs/a: 0 MB are free"));
  EXPECT_THAT(complaint(check_disk("runs/a", 500 * kMegabyte), Level::warning),
              HasSubstr("500 MB"));
  EXPECT_THAT(check_disk("runs/a", 100'000 * kMegabyte), IsEmpty());
}

}  // namespace
}  // namespace stylescope
