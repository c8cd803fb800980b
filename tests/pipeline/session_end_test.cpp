#include "pipeline/session_end.hpp"

#include "distributed/verdict.hpp"
#include "io/stage_state.hpp"
#include "pipeline/work_mark.hpp"
#include "tests/support/temp_dir.hpp"

#include <ctime>
#include <fstream>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

namespace fs = std::filesystem;
using testing_support::TempDir;

class SessionEnd : public testing::Test {
 protected:
  Session judged(const std::set<std::string>& unfit = {}) {
    Session session;
    session.nodes = "n[1-3]";
    judge_session(session, begun_, RunDirectory(dir_.path()), "gan", -1, unfit);
    return session;
  }
  void outcome(const std::string& state, const std::string& cause, double later = 1) {
    write_state(outcome_file(dir_.path(), "gan"),
                StageOutcome{state, cause, "n1", 1, begun_ + later});
  }
  void logged(int rank, double later, const std::string& text) {
    fs::create_directories(dir_ / "logs");
    const auto time = static_cast<std::time_t>(begun_ + later);
    char stamp[32];
    std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", std::localtime(&time));
    std::ofstream(dir_ / ("logs/gan.rank-" + std::to_string(rank) + ".log"), std::ios::app)
        << stamp << ".123 " << text << "\n";
  }

  TempDir dir_;
  double begun_ = 1'795'000'000;
};

TEST_F(SessionEnd, WhatTheStageSaidOfItselfCounts) {
  for (const char* state : {"done", "interrupted", "failed"}) {
    outcome(state, "why");
    EXPECT_EQ(state, judged().outcome);
    EXPECT_EQ("why", judged().cause);
  }
}

TEST_F(SessionEnd, AnEarlierSessionsWordDoesNot) {
  outcome("failed", "long ago", -100);
  EXPECT_EQ("lost", judged().outcome);
  EXPECT_EQ("it ended before the stage began", judged().cause);
}

TEST_F(SessionEnd, BrokenIsLostSinceItNeedNotComeAgain) {
  outcome("broken", "CUDA error: uncorrectable ECC error");
  EXPECT_EQ("lost", judged().outcome);
  EXPECT_EQ("CUDA error: uncorrectable ECC error", judged().cause);
}

TEST_F(SessionEnd, TheFirstErrorOfTheSessionsRanksIsTheCause) {
  outcome("running", "");
  logged(0, -50, "error: rank 0 on n3 (process 1) has died: of another session");
  logged(1, 9, "error: an echo");
  logged(0, 5, "error: rank 1 on n2 (process 7) has died (killed)");
  logged(0, 4, "warning: not this one");
  const auto session = judged();
  EXPECT_EQ("lost", session.outcome);
  EXPECT_EQ("rank 1 on n2 (process 7) has died (killed)", session.cause);
  EXPECT_EQ(std::vector<std::string>{"n2"}, session.suspects);
}

TEST_F(SessionEnd, NodesThatAreDownAreSuspects) {
  outcome("running", "");
  EXPECT_EQ(std::vector<std::string>{"n3"}, judged({"n3", "n9"}).suspects);
  outcome("interrupted", "the time limit");
  EXPECT_TRUE(judged({"n3"}).suspects.empty());
}

TEST(BlamedHost, IsTheFirstRanksOfAVerdict) {
  EXPECT_EQ("node-7.cluster", blamed_host("rank 3 on node-7.cluster (process 4711) has died"));
  EXPECT_EQ("b", blamed_host("images.h5: is damaged (rank 2 on b)"));
  EXPECT_EQ("", blamed_host("all ranks have been in collective #3"));
}

}  // namespace
}  // namespace stylescope
