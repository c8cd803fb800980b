#include "distributed/verdict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Patience kPatience{3, 60};

// Four ranks in their 17th collective.
std::vector<RankState> ranks_at_work() {
  std::vector<RankState> ranks(4);
  for (size_t r = 0; r < ranks.size(); ++r) {
    ranks[r].host = "node" + std::to_string(r / 2);
    ranks[r].pid = 100 + static_cast<int64_t>(r);
    ranks[r].report = {17, true, 0.2, "#17 all_reduce sum Float x 4096", 4, "gan, step 5", false};
  }
  return ranks;
}

TEST(Verdict, NobodyIsAccusedWhileAllIsWell) {
  auto ranks = ranks_at_work();
  ranks[3].taken_leave = true;
  EXPECT_FALSE(needs_verdict(ranks, kPatience));
}

TEST(Verdict, ADeathComesBeforeTheFailuresThatFollowFromIt) {
  auto ranks = ranks_at_work();
  ranks[0].exit_code = 1;
  ranks[0].cause = "MPI_Allreduce failed: connection reset";
  ranks[2].died = true;
  ASSERT_TRUE(needs_verdict(ranks, kPatience));
  const auto verdict = verdict_on(ranks, kPatience).value();
  EXPECT_EQ(verdict.exit_code, 1);
  EXPECT_EQ(verdict.text,
            "rank 2 on node1 (process 102) has died (killed, out of memory, or a crash); when last "
            "heard of, it was in collective #17 all_reduce sum Float x 4096, at gan, step 5");
}

TEST(Verdict, AFailureKeepsItsTextAndExitCode) {
  auto ranks = ranks_at_work();
  ranks[3].exit_code = 2;
  ranks[3].cause = "my.csv: has no column 'path'; add it";
  ranks[3].order = 1;
  ranks[0].exit_code = 1;
  ranks[0].cause = "follows from it";
  ranks[0].order = 2;
  const auto verdict = verdict_on(ranks, kPatience).value();
  EXPECT_EQ(verdict.exit_code, 2);
  EXPECT_EQ(verdict.text, "my.csv: has no column 'path'; add it (rank 3 on node1)");
}

TEST(Verdict, TheSameFailureOfAllRanksIsSaidOnce) {
  auto ranks = ranks_at_work();
  for (auto& rank : ranks) {
    rank.exit_code = 1;
    rank.cause = "disk full";
  }
  EXPECT_EQ(verdict_on(ranks, kPatience)->text, "disk full (all ranks)");
}

TEST(Verdict, SilenceNamesTheHost) {
  auto ranks = ranks_at_work();
  for (const size_t r : {2, 3}) ranks[r].silent_seconds = 4.25;
  ranks[0].report.seconds = 3.2;
  const auto text = verdict_on(ranks, kPatience)->text;
  EXPECT_THAT(text, HasSubstr("rank 2 on node1 (process 102) has given no sign of life for 4.2 s"));
  EXPECT_THAT(text, HasSubstr("network"));
  EXPECT_THAT(text, HasSubstr("nor has rank 3"));
}

TEST(Verdict, WhoHearsFromNoOtherHostIsCutOffItself) {
  auto ranks = ranks_at_work();
  for (const size_t r : {1, 2, 3}) {
    ranks[r].host = "node" + std::to_string(r);
    ranks[r].silent_seconds = 4.25;
  }
  const std::string text = verdict_on(ranks, kPatience)->text;
  EXPECT_THAT(text, HasSubstr("rank 0 on node0 hears from no other host"));
  EXPECT_THAT(text, HasSubstr("rank 1 on node1 (process 101) has given no sign of life"));
  EXPECT_THAT(text, HasSubstr("nor have ranks 2 and 3"));

  // One other host alone, or one that is still heard: the other side is to blame as well as this.
  for (const size_t r : {1, 2, 3}) ranks[r].host = "node1";
  EXPECT_THAT(verdict_on(ranks, kPatience)->text, Not(HasSubstr("no other host")));
  ranks[2].host = "node2";
  ranks[2].silent_seconds = 0;
  EXPECT_THAT(verdict_on(ranks, kPatience)->text, Not(HasSubstr("no other host")));
}

TEST(Verdict, TheRankThatIsNotThereStalls) {
  auto ranks = ranks_at_work();
  for (const size_t r : {0, 1, 3}) ranks[r].report.seconds = 3.2;
  ranks[2].report = {16, false, 3.5, "#16 broadcast from rank 0 Byte x 8", 4, "gan, step 5", false};
  EXPECT_EQ(verdict_on(ranks, kPatience)->text,
            "rank 2 on node1 (process 102) stalls: it had last left collective #16 broadcast from "
            "rank 0 Byte x 8, at gan, step 5 3.5 s ago; ranks 0, 1 and 3 wait in collective #17 "
            "all_reduce sum Float x 4096 for 3.2 s (deadline 3.0 s)");
}

TEST(Verdict, RanksWithLongWorkAreWaitedForPatiently) {
  auto ranks = ranks_at_work();
  for (const size_t r : {0, 1, 3}) ranks[r].report.seconds = 3.2;
  ranks[2].report.inside = false;
  EXPECT_TRUE(needs_verdict(ranks, kPatience));
  ranks[2].report.long_work = true;
  EXPECT_FALSE(needs_verdict(ranks, kPatience));
  EXPECT_FALSE(verdict_on(ranks, kPatience).has_value());
  // Another one that has none is missing as well.
  ranks[1].report.inside = false;
  EXPECT_TRUE(needs_verdict(ranks, kPatience));
  ranks[1].report.inside = true;
  for (const size_t r : {0, 1, 3}) ranks[r].report.seconds = 61;
  EXPECT_THAT(verdict_on(ranks, kPatience)->text, HasSubstr("rank 2 on node1"));
}

TEST(Verdict, ARankThatHasEndedIsNamed) {
  auto ranks = ranks_at_work();
  ranks[0].report.seconds = 3.2;
  ranks[1].taken_leave = true;
  ranks[1].report.inside = false;
  EXPECT_THAT(verdict_on(ranks, kPatience)->text,
              HasSubstr("rank 1 on node0 (process 101) has ended its"));
}

TEST(Verdict, AnotherCollectiveAtTheSamePlaceIsADisagreement) {
  auto ranks = ranks_at_work();
  ranks[1].report.seconds = 3.2;
  ranks[3].report.call = "#17 barrier";
  const auto text = verdict_on(ranks, kPatience)->text;
  EXPECT_THAT(text, HasSubstr("rank 3 on node1 (process 103) entered #17 barrier where ranks 0, 1 "
                              "and 2 entered #17 all_reduce sum Float x 4096"));
}

TEST(Verdict, NobodyIsAccusedWhereAllAreThere) {
  auto ranks = ranks_at_work();
  for (auto& rank : ranks) rank.report.seconds = 3.2;
  const auto text = verdict_on(ranks, kPatience)->text;
  EXPECT_THAT(text, HasSubstr("all ranks have been in collective #17"));
  EXPECT_THAT(text, Not(HasSubstr("stalls")));
}

TEST(Disagreement, NamesTheOddOnesFirst) {
  EXPECT_THAT(disagreement({"a x 4", "a x 4", "a x 5", "a x 4"}, 9, {"n0", "n0", "n1", "n1"}),
              HasSubstr("collective #9: rank 2 on n1 entered a x 5, but ranks 0, 1 and 3 entered "
                        "a x 4"));
}

}  // namespace
}  // namespace stylescope
