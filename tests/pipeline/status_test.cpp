// How a run stands, from what lies on disk and what squeue says. The queue's entries are those that
// Slurm 22.05 showed.
#include "pipeline/run_facts.hpp"
#include "pipeline/run_status.hpp"
#include "pipeline/status_table.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::TempDir;
using State = StageState;

constexpr double kNow = 1795590000;  // 2026-11-25T07:00:00Z
constexpr const char* kBefore = "2026-11-25T06:00:00Z";
constexpr const char* kLately = "2026-11-25T06:50:00Z";

// ingest -> gan -> encoder.
class RunStatus : public testing::Test {
 protected:
  RunStatus() {
    facts.now = kNow;
    for (const char* name : {"ingest", "gan", "encoder"}) {
      StageFacts stage;
      stage.name = name;
      if (!facts.stages.empty()) stage.inputs = {facts.stages.back().name};
      facts.stages.push_back(stage);
    }
    finish(ingest(), kBefore);
  }

  StageFacts& ingest() { return facts.stages[0]; }
  StageFacts& gan() { return facts.stages[1]; }
  StageFacts& encoder() { return facts.stages[2]; }

  static void finish(StageFacts& stage, const std::string& when) {
    stage.record = nlohmann::json{{"finished", when}, {"sessions", 1}, {"hosts", {"n1", "n2"}}};
  }
  static void submit(StageFacts& stage, int64_t job, const std::vector<std::string>& after = {}) {
    StageJobs jobs;
    jobs.stage = stage.name;
    jobs.job = job;
    jobs.after = after;
    jobs.submitted = kLately;
    stage.jobs = jobs;
  }
  void queue(int64_t id, const std::string& state, const std::string& reason = "None") {
    QueuedJob job;
    job.id = id;
    job.state = state;
    job.reason = reason;
    job.elapsed = state == "PENDING" ? 0 : 60;
    if (state != "PENDING") job.nodes = "n[1-2]";
    facts.queue.push_back(job);
  }
  static void say(StageFacts& stage, const std::string& state, const std::string& cause = "") {
    StageOutcome outcome;
    outcome.state = state;
    outcome.cause = cause;
    outcome.updated = kNow - 10;
    stage.outcome = outcome;
  }
  static void session(StageFacts& stage, const std::string& outcome, const std::string& cause) {
    Session one;
    one.started = kLately;
    one.outcome = outcome;
    one.cause = cause;
    if (outcome != "unknown") one.ended = "2026-11-25T06:55:00Z";
    one.mark.checkpoint = static_cast<int64_t>(stage.sessions.size()) + 1;  // progress
    stage.sessions.push_back(one);
  }
  static void progress(StageFacts& stage, double updated) {
    StageProgress now;
    now.step = 450;
    now.total = 1000;
    now.rate = 12.5;
    now.unit = "img";
    now.seconds_left = 4800;
    now.updated = updated;
    stage.progress = now;
    stage.partial = true;
  }

  StageStatus row(size_t at) const { return run_status(facts).at(at); }
  RunFacts facts;
};

TEST_F(RunStatus, WithoutAnyJob) {
  EXPECT_EQ(row(0).state, State::done);
  EXPECT_THAT(row(0).nodes, ElementsAre("n1", "n2"));
  EXPECT_EQ(row(1).state, State::not_started);
  EXPECT_EQ(row(2).state, State::waits);
  EXPECT_EQ(row(2).reason, "waits for gan");
  EXPECT_FALSE(run_under_way(facts, run_status(facts)));
}

TEST_F(RunStatus, LocalRunAtWorkLostAndFailed) {
  progress(gan(), kNow - 1);
  gan().lock = {true, true, "h1", 33};
  say(gan(), "running");
  EXPECT_EQ(row(1).state, State::running);
  EXPECT_THAT(row(1).nodes, ElementsAre("h1"));
  EXPECT_TRUE(run_under_way(facts, run_status(facts)));

  gan().lock.held = false;
  EXPECT_EQ(row(1).state, State::stopped);
  EXPECT_THAT(row(1).reason, HasSubstr("process 33 on h1 is gone"));
  EXPECT_EQ(row(2).state, State::waits);

  say(gan(), "failed", "disk is full");
  EXPECT_EQ(row(1).state, State::failed);
  EXPECT_EQ(row(1).reason, "disk is full");
  EXPECT_EQ(row(2).state, State::blocked);
}

TEST_F(RunStatus, LockOfAnotherHostIsNotTakenForADeath) {
  progress(gan(), kNow - 20);
  say(gan(), "running");
  gan().lock = {false, false, "far", 33};
  EXPECT_EQ(row(1).state, State::running);
  gan().progress->updated = gan().outcome->updated = kNow - 720;
  EXPECT_EQ(row(1).state, State::stopped);
  EXPECT_EQ(row(1).reason, "no news from far for 12 min");
}

TEST_F(RunStatus, RunningJob) {
  submit(gan(), 12);
  queue(12, "RUNNING");
  progress(gan(), kNow - 5);
  const auto gan_row = row(1);
  EXPECT_EQ(gan_row.state, State::running);
  EXPECT_THAT(gan_row.nodes, ElementsAre("n[1-2]"));
  EXPECT_THAT(gan_row.jobs, ElementsAre(12));
  EXPECT_DOUBLE_EQ(gan_row.percent, 45);
  EXPECT_DOUBLE_EQ(gan_row.seconds_left, 4800);
  EXPECT_EQ(gan_row.reason, "");
}

TEST_F(RunStatus, SilenceIsSaidOnceTheJobIsOldEnough) {
  submit(gan(), 12);
  queue(12, "RUNNING");
  progress(gan(), kNow - 720);
  EXPECT_EQ(row(1).reason, "");  // of a session before this minute's
  facts.queue[0].elapsed = 7200;
  EXPECT_EQ(row(1).state, State::running);
  EXPECT_EQ(row(1).reason, "no news for 12 min");
}

TEST_F(RunStatus, ReasonsInPlainWords) {
  submit(gan(), 12);
  queue(12, "PENDING");
  const auto with = [&](const std::string& reason) {
    facts.queue[0].reason = reason;
    return row(1);
  };
  EXPECT_EQ(with("Resources").reason, "waits for resources");
  EXPECT_EQ(with("Resources").state, State::queued);
  EXPECT_EQ(with("JobHeldUser").state, State::held);
  EXPECT_EQ(with("job requeued in held state").state, State::held);
  EXPECT_EQ(with("DependencyNeverSatisfied").state, State::blocked);
  EXPECT_EQ(with("PartitionTimeLimit").state, State::blocked);
  EXPECT_THAT(with("QOSMaxJobsPerUserLimit").reason, HasSubstr("limit"));
  EXPECT_EQ(with("SomethingNew").reason, "waits (SomethingNew)");
  facts.queue[0].restarts = 1;
  facts.queue[0].start = "2020-01-02T07:45:11";
  EXPECT_EQ(with("BeginTime").state, State::restarting);
  EXPECT_EQ(with("BeginTime").reason, "requeued; may begin at 2020-01-02 07:45");
  EXPECT_EQ(with("BeginTime").restarts, 1);
}

TEST_F(RunStatus, WaitsForTheStageWhoseJobIsNotOver) {
  submit(gan(), 12, {"ingest"});
  submit(encoder(), 13, {"gan"});
  queue(12, "RUNNING");
  queue(13, "PENDING", "Dependency");
  facts.queue[1].dependency = "afterok:12(unfulfilled)";
  EXPECT_EQ(row(2).state, State::queued);
  EXPECT_EQ(row(2).reason, "waits for gan");
  facts.queue[1].dependency = "afterok:12(unfulfilled)?afterok:99(unfulfilled)";
  EXPECT_EQ(row(2).reason, "waits for gan and job 99");
}

TEST_F(RunStatus, ClearedAwayRequeuedOrCancelled) {
  submit(gan(), 22);
  session(gan(), "unknown", "");
  queue(22, "COMPLETING");
  EXPECT_EQ(row(1).state, State::ending);  // scancel
  facts.queue[0].elapsed = 0;
  facts.queue[0].restarts = 1;
  EXPECT_EQ(row(1).state, State::restarting);  // scontrol requeue
}

TEST_F(RunStatus, GoneWithoutAWord) {
  submit(gan(), 12);
  session(gan(), "unknown", "");
  progress(gan(), kNow - 400);
  say(gan(), "running");
  EXPECT_EQ(row(1).state, State::stopped);
  EXPECT_THAT(row(1).reason, HasSubstr("job 12 is gone without a word"));
  FinishedJob kept;
  kept.id = 12;
  kept.state = "NODE_FAIL";
  facts.accounts = {kept};
  EXPECT_EQ(row(1).reason, "job 12 lost a node");
}

TEST_F(RunStatus, InputOfACancelledJobIsNamed) {
  submit(gan(), 22);
  submit(encoder(), 23, {"gan"});
  session(gan(), "unknown", "");
  queue(22, "CANCELLED");
  queue(23, "CANCELLED", "DependencyNeverSatisfied");
  EXPECT_EQ(row(1).state, State::stopped);
  EXPECT_EQ(row(1).reason, "job 22 was cancelled");
  EXPECT_EQ(row(2).state, State::blocked);
  EXPECT_EQ(row(2).reason, "needs gan, which stopped");
}

TEST_F(RunStatus, FailedAndGivenUp) {
  submit(gan(), 12);
  say(gan(), "failed", "images.h5: is damaged");
  EXPECT_EQ(row(1).state, State::failed);
  EXPECT_EQ(row(1).reason, "images.h5: is damaged");
  gan().outcome.reset();
  for (int i = 0; i < 3; ++i) {
    session(gan(), "lost", "a rank died");
    gan().sessions.back().mark = gan().sessions.back().before;  // in vain
  }
  EXPECT_EQ(row(1).state, State::failed);
  EXPECT_EQ(row(1).restarts, 2);
}

TEST_F(RunStatus, FollowUpGoesOn) {
  submit(gan(), 12);
  gan().jobs->follow_ups = {15, 16};
  session(gan(), "interrupted", "time limit");
  queue(12, "FAILED", "NonZeroExitCode");
  queue(15, "PENDING", "Resources");
  queue(16, "PENDING", "Dependency");
  EXPECT_EQ(row(1).state, State::restarting);
  EXPECT_THAT(row(1).reason, HasSubstr("goes on as job 15 (time limit)"));
}

TEST_F(RunStatus, ResubmittedIsNotWhatItWas) {
  finish(gan(), kBefore);
  say(gan(), "done");
  gan().outcome->updated = kNow - 3600;
  EXPECT_EQ(row(1).state, State::done);
  submit(gan(), 12);  // after it was finished: it is made again
  queue(12, "PENDING", "Priority");
  EXPECT_EQ(row(1).state, State::queued);
  facts.queue.clear();
  EXPECT_EQ(row(1).state, State::stopped);
  finish(gan(), "2026-11-25T06:58:00Z");
  EXPECT_EQ(row(1).state, State::done);
}

TEST_F(RunStatus, NobodyIsDeadBecauseSlurmIsSilent) {
  facts.unreachable = "squeue: has not answered";
  submit(gan(), 12);
  submit(encoder(), 13, {"gan"});
  EXPECT_EQ(row(1).state, State::unknown);
  EXPECT_EQ(row(2).state, State::unknown);
  session(gan(), "unknown", "");
  progress(gan(), kNow - 5);
  EXPECT_EQ(row(1).state, State::running);
  gan().progress->updated = kNow - 500;
  EXPECT_EQ(row(1).state, State::unknown);
  for (const auto& each : run_status(facts)) EXPECT_FALSE(needs_somebody(each.state));
  say(gan(), "failed", "no space");
  EXPECT_EQ(row(1).state, State::failed);
  EXPECT_EQ(row(2).state, State::blocked);
}

TEST_F(RunStatus, Shares) {
  submit(gan(), 13);
  gan().jobs->arrays = {5};
  gan().jobs->array_tasks = {4};
  gan().shares.resize(4);
  StageOutcome done;
  done.state = "done";
  gan().shares[0].outcome = done;
  StageProgress half;
  half.step = 5;
  half.total = 10;
  half.rate = 2;
  gan().shares[1].progress = half;
  gan().shares[1].outcome = StageOutcome{"running", "", "n1", 1, 0};
  // One that was cut off adds to what is done, not to the rate.
  gan().shares[2].progress = half;
  gan().shares[2].outcome = StageOutcome{"broken", "a rank was lost", "n1", 1, 0};
  queue(5, "RUNNING");
  facts.queue[0].task = 1;
  queue(5, "PENDING", "JobArrayTaskLimit");
  facts.queue[1].tasks = 2;
  queue(13, "PENDING", "Dependency");
  const auto shared = row(1);
  EXPECT_EQ(shared.state, State::running);
  EXPECT_EQ(shared.reason, "1 of 4 shares done, 1 at work");
  EXPECT_EQ(shared.step, 1);
  EXPECT_EQ(shared.total, 4);
  EXPECT_DOUBLE_EQ(shared.percent, 50);
  EXPECT_DOUBLE_EQ(shared.rate, 2);
}

TEST_F(RunStatus, TableAdviceAndJson) {
  progress(gan(), kNow - 400);
  say(gan(), "failed", "line one\nline two");
  const auto rows = run_status(facts);
  const auto table = status_table(rows, 0);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 4);  // the heading and a line a stage
  EXPECT_THAT(table, HasSubstr("line one line two"));
  EXPECT_THAT(table, HasSubstr("45% 450/1000"));
  const auto narrow = status_table(rows, 40);
  size_t begin = 0;
  for (size_t end = narrow.find('\n'); end != std::string::npos; end = narrow.find('\n', begin)) {
    EXPECT_LE(end - begin, 40u);
    begin = end + 1;
  }
  const auto sentences = what_to_do(rows, "runs/x", "stylescope run runs/x/config.yaml");
  ASSERT_EQ(sentences.size(), 3u);
  EXPECT_THAT(sentences[0], HasSubstr("stylescope logs runs/x gan"));
  EXPECT_THAT(sentences[1], HasSubstr("encoder cannot start"));
  EXPECT_THAT(sentences[2], HasSubstr("stylescope run runs/x/config.yaml"));
  const auto json = status_json(rows);
  ASSERT_EQ(json.size(), 3u);
  EXPECT_EQ(json[1]["state"], "failed");
  EXPECT_EQ(json[1]["step"], 450);
  EXPECT_TRUE(json[1]["rate"].is_null());
  EXPECT_EQ(json[2]["state"], "blocked");
}

TEST(LastWarning, NewestOfThisStart) {
  TempDir dir;
  const auto log = dir / "gan.rank-0.log";
  EXPECT_EQ(last_warning(log, 0), "");
  std::ofstream(log) << std::string(100000, 'x') << "\n"
                     << "2026-11-25 07:00:00.000 warning: first\n"
                     << "2026-11-25 07:00:02.000 warning: second\n"
                     << "2026-11-25 07:00:03.000 says warning: in its text\n";
  EXPECT_EQ(last_warning(log, 0), "second");
  EXPECT_EQ(last_warning(log, 4e9), "");
}

TEST(LookAtLock, SeesAHolderAndDisturbsNobody) {
  TempDir dir;
  const auto file = dir / ".gan.lock";
  EXPECT_FALSE(look_at_lock(file).held);
  {
    const FileLock lock(file, FileLock::Mode::exclusive);
    const auto view = look_at_lock(file);
    EXPECT_TRUE(view.held);
    EXPECT_EQ(view.pid, ::getpid());
  }
  EXPECT_FALSE(look_at_lock(file).held);
  EXPECT_TRUE(look_at_lock(file).certain);
  const FileLock again(file, FileLock::Mode::exclusive);
}

}  // namespace
}  // namespace stylescope
