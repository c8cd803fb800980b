#include "pipeline/run_status.hpp"

#include <gmock/gmock.h>

namespace stylescope {
namespace {

using testing::HasSubstr;
constexpr double kNow = 1'795'000'000;

// ingest -> gan -> report, submitted as jobs 11, 12 and 13.
class Status : public testing::Test {
 protected:
  Status() {
    facts_.now = kNow;
    facts_.stages.resize(3);
    const char* names[] = {"ingest", "gan", "report"};
    for (int i = 0; i < 3; ++i) {
      auto& stage = facts_.stages[static_cast<size_t>(i)];
      stage.name = names[i];
      if (i > 0) stage.inputs = {names[i - 1]};
      StageJobs jobs;
      jobs.stage = names[i];
      jobs.job = 11 + i;
      if (i > 0) jobs.after = {names[i - 1]};
      jobs.submitted = "2026-11-18T00:00:00Z";
      stage.jobs = jobs;
    }
  }
  StageFacts& gan() { return facts_.stages[1]; }
  void make_done(size_t i) {
    facts_.stages[i].record = nlohmann::json{{"finished", "2026-11-18T01:00:00Z"},
                                             {"sessions", 1},
                                             {"hosts", {"n1"}},
                                             {"wall_seconds", 9}};
    say(i, "done");
  }
  void say(size_t i, const std::string& state, const std::string& cause = "") {
    facts_.stages[i].outcome = StageOutcome{state, cause, "n1", 7, kNow - 10};
  }
  void queue(int64_t id, const std::string& state, const std::string& reason = "",
             const std::string& dependency = "") {
    QueuedJob job;
    job.id = id;
    job.state = state;
    job.reason = reason;
    job.dependency = dependency;
    if (state == "RUNNING") job.nodes = "n[1-2]", job.elapsed = 60;
    facts_.queue.push_back(job);
  }
  StageStatus row(size_t i) { return run_status(facts_).at(i); }

  RunFacts facts_;
};

TEST_F(Status, WhatWaitsRunsAndIsDone) {
  make_done(0);
  queue(12, "RUNNING");
  queue(13, "PENDING", "Dependency", "afterok:12(unfulfilled)");
  gan().partial = true;
  say(1, "running");
  gan().progress = StageProgress{"gan", 25, 80, 310, "img", 3, kNow - 1, {}};
  EXPECT_EQ(StageState::done, row(0).state);
  EXPECT_EQ(StageState::running, row(1).state);
  EXPECT_EQ(25, row(1).step);
  EXPECT_DOUBLE_EQ(310, row(1).rate);
  EXPECT_EQ(std::vector<std::string>{"n[1-2]"}, row(1).nodes);
  EXPECT_EQ(StageState::queued, row(2).state);
  EXPECT_THAT(row(2).reason, HasSubstr("waits for gan"));
  EXPECT_FALSE(needs_somebody(row(1).state));
  EXPECT_TRUE(run_under_way(facts_, run_status(facts_)));
}

TEST_F(Status, NoNewsForLongIsSaid) {
  make_done(0);
  queue(12, "RUNNING");
  facts_.queue.back().elapsed = 5000;
  gan().partial = true;
  say(1, "running");
  gan().outcome->updated = kNow - 4000;
  gan().progress = StageProgress{"gan", 25, 80, 310, "img", 3, kNow - 720, {}};
  EXPECT_THAT(row(1).reason, HasSubstr("no news for 12 min"));
}

TEST_F(Status, AJobThatIsGoneWithoutAWordIsStopped) {
  make_done(0);
  gan().partial = true;
  say(1, "running");
  EXPECT_EQ(StageState::stopped, row(1).state);
  EXPECT_TRUE(needs_somebody(row(1).state));
  EXPECT_TRUE(row(1).can_go_on);
}

TEST_F(Status, SlurmThatCannotBeAskedCallsNoJobDead) {
  make_done(0);
  gan().partial = true;
  say(1, "running");
  facts_.unreachable = "squeue: no answer";
  EXPECT_EQ(StageState::done, row(0).state);
  EXPECT_EQ(StageState::unknown, row(1).state);
}

TEST_F(Status, WhatFailedForGoodBlocksWhatIsBehindIt) {
  make_done(0);
  say(1, "failed", "images.h5: is damaged");
  queue(13, "PENDING", "DependencyNeverSatisfied", "afterok:12(failed)");
  EXPECT_EQ(StageState::failed, row(1).state);
  EXPECT_THAT(row(1).reason, HasSubstr("images.h5: is damaged"));
  EXPECT_EQ(StageState::blocked, row(2).state);
  facts_.queue.clear();  // Slurm has taken it away
  EXPECT_EQ(StageState::blocked, row(2).state);
}

TEST_F(Status, ARequeuedJobIsRestarting) {
  make_done(0);
  gan().partial = true;
  say(1, "interrupted", "the time limit");
  queue(12, "PENDING", "BeginTime");
  facts_.queue.back().restarts = 2;
  EXPECT_EQ(StageState::restarting, row(1).state);
  EXPECT_EQ(2, row(1).restarts);
}

TEST_F(Status, AHeldJobNeedsSomebody) {
  queue(11, "PENDING", "JobHeldUser");
  EXPECT_EQ(StageState::held, row(0).state);
  EXPECT_TRUE(needs_somebody(row(0).state));
}

TEST_F(Status, ARunWithoutSlurmIsToldFromDisk) {
  for (auto& stage : facts_.stages) stage.jobs.reset();
  make_done(0);
  gan().partial = true;
  say(1, "interrupted", "asked to stop");
  EXPECT_EQ(StageState::done, row(0).state);
  EXPECT_EQ(StageState::stopped, row(1).state);
  EXPECT_EQ(StageState::waits, row(2).state);
  gan().lock.held = true;
  EXPECT_EQ(StageState::running, row(1).state);
}

}  // namespace
}  // namespace stylescope
