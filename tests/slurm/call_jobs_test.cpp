// Jobs that do not know one another, and the one behind them.
#include "slurm/call_jobs.hpp"

#include "io/atomic_file.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TempDir;
using Words = std::vector<std::string>;
using Names = std::vector<std::string>;

// sbatch that numbers its jobs from 101; squeue that knows `queue`.
struct FakeCluster {
  std::vector<Words> asked;
  std::set<std::string> too_large;  // scripts that are refused
  std::string queue;
  std::vector<std::string> cancelled;
  int64_t next = 101;
  Slurm slurm{[this](const Words& words) -> Captured {
    if (words[0] == "squeue") return {0, queue, ""};
    if (words[0] == "scancel") {
      cancelled.assign(words.begin() + 1, words.end());
      return {0, "", ""};
    }
    for (const auto& name : too_large)
      if (words.back().ends_with("/" + name + ".sbatch"))
        return {1, "", "sbatch: error: Node count specification invalid"};
    asked.push_back(words);
    return {0, std::to_string(next++) + "\n", ""};
  }};
};

class CallJobsOf : public testing::Test {
 protected:
  JobScript call(const std::string& name) {
    JobScript job;
    job.run_name = "bench";
    job.stage = name;
    job.run_dir = job.work_dir = dir_.path();
    job.program = "/bin/true";
    job.words = {"bench", "scale"};
    return job;
  }
  CallSubmission submit(const std::function<bool()>& stop = [] { return false; }) {
    const CallJobs calls{
        {call("nodes-1"), call("nodes-2"), call("nodes-4")}, call("collate"), "r.json"};
    said_.clear();
    return submit_calls(
        cluster_.slurm, calls, {}, files_, book_, queued_calls(cluster_.slurm, book_),
        [this](const std::string& name, int64_t) { said_.push_back(name); }, stop);
  }

  std::filesystem::path result(const std::string& name) { return dir_ / name / "r.json"; }
  void leave_results() {
    for (const char* name : {"nodes-1", "nodes-2", "nodes-4"}) {
      std::filesystem::create_directories(dir_ / name);
      publish_text(result(name), "{}");
    }
  }

  TempDir dir_;
  SlurmFiles files_{dir_.path()};
  JobBook book_;
  FakeCluster cluster_;
  Names said_;
};

TEST_F(CallJobsOf, TheLastWaitsForAllHoweverTheyEnd) {
  const auto done = submit();
  EXPECT_EQ(said_, (Names{"nodes-1", "nodes-2", "nodes-4", "collate"}));
  ASSERT_EQ(cluster_.asked.size(), 4u);
  EXPECT_EQ(cluster_.asked[0], (Words{"sbatch", "--parsable", files_.script("nodes-1").string()}));
  EXPECT_EQ(cluster_.asked[3][2], "--dependency=afterany:101:102:103");
  EXPECT_EQ(read_job_book(files_).stages.at("nodes-4").job, 103);
  EXPECT_TRUE(done.refused.empty());
}

TEST_F(CallJobsOf, OneThatIsRefusedLeavesTheOthers) {
  cluster_.too_large = {"nodes-2"};
  const auto done = submit();
  EXPECT_EQ(said_, (Names{"nodes-1", "nodes-4", "collate"}));
  EXPECT_EQ(cluster_.asked.back()[2], "--dependency=afterany:101:102");
  ASSERT_EQ(done.refused.size(), 1u);
  EXPECT_EQ(done.refused[0].first, "nodes-2");
  EXPECT_NE(done.refused[0].second.find("Node count specification invalid"), std::string::npos);
  EXPECT_EQ(read_job_book(files_).stages.at("nodes-2").job, 0);
  EXPECT_NE(read_text(files_.output("nodes-2")).find("Node count"), std::string::npos);
}

TEST_F(CallJobsOf, WithoutAnyJobThereIsNoLast) {
  cluster_.too_large = {"nodes-1", "nodes-2", "nodes-4"};
  EXPECT_EQ(submit().refused.size(), 3u);
  EXPECT_TRUE(cluster_.asked.empty());
}

TEST_F(CallJobsOf, WhatIsQueuedIsLeftAndTheLastIsReplaced) {
  submit();
  cluster_.queue =
      "102|N/A|RUNNING|None|n1||0|0:10|INVALID|N/A|\n103|N/A|FAILED|None|n1||0|0:10|INVALID|N/A|\n"
      "104|N/A|PENDING|Dependency|||0|0:00|INVALID|N/A|\n";
  const auto done = submit();
  EXPECT_EQ(said_, (Names{"nodes-1", "nodes-4", "collate"}));
  ASSERT_EQ(done.queued.size(), 1u);
  EXPECT_EQ(done.queued[0].second, 102);
  EXPECT_EQ(cluster_.cancelled, Words{"104"});
  EXPECT_EQ(cluster_.asked.back()[2], "--dependency=afterany:105:102:106");
}

TEST_F(CallJobsOf, TheLastWaitsAlsoForWhatIsNotAskedForAgain) {
  submit();
  cluster_.queue =
      "103|N/A|PENDING|Priority|||0|0:00|INVALID|N/A|\n"
      "104|N/A|PENDING|Dependency|||0|0:00|INVALID|N/A|\n";
  const CallJobs calls{{call("nodes-8")}, call("collate")};
  submit_calls(
      cluster_.slurm, calls, {}, files_, book_, queued_calls(cluster_.slurm, book_),
      [](const std::string&, int64_t) {}, [] { return false; });
  EXPECT_EQ(cluster_.asked.back()[2], "--dependency=afterany:105:103");
}

TEST_F(CallJobsOf, AnEarlierResultPassesForNoNewOne) {
  submit();
  leave_results();
  cluster_.too_large = {"nodes-1"};
  cluster_.queue = "102|N/A|RUNNING|None|n1||0|0:10|INVALID|N/A|\n";
  const auto done = submit();
  ASSERT_EQ(done.refused.size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(result("nodes-1")));  // refused
  EXPECT_TRUE(std::filesystem::exists(result("nodes-2")));   // still at work: its own
  EXPECT_FALSE(std::filesystem::exists(result("nodes-4")));  // submitted again
  // What was not tried is as it was.
  cluster_.queue = "";
  leave_results();
  int asked = 0;
  submit([&] { return ++asked == 2; });
  EXPECT_FALSE(std::filesystem::exists(result("nodes-1")));
  EXPECT_TRUE(std::filesystem::exists(result("nodes-2")));
}

TEST_F(CallJobsOf, AStopLeavesTheRestUnsubmitted) {
  int asked = 0;
  const auto done = submit([&] { return ++asked == 3; });
  EXPECT_TRUE(done.stopped);
  EXPECT_EQ(said_, (Names{"nodes-1", "nodes-2"}));
  EXPECT_EQ(done.submitted.back().second, 102);
  EXPECT_EQ(read_job_book(files_).stages.size(), 2u);
}

TEST_F(CallJobsOf, NamesJobsThatAskInVain) {
  cluster_.queue =
      "102|N/A|PENDING|PartitionNodeLimit|||0|0:00|INVALID|N/A|\n"
      "103|N/A|PENDING|Priority|||0|0:00|INVALID|N/A|\n"
      "104|N/A|PENDING|InvalidAccount|||0|0:00|INVALID|N/A|\n"
      "105|N/A|PENDING|QOSMaxNodePerJobLimit|||0|0:00|INVALID|N/A|\n"
      "106|N/A|PENDING|QOSMaxNodePerUserLimit|||0|0:00|INVALID|N/A|\n";
  EXPECT_EQ(
      waiting_in_vain(cluster_.slurm, {102, 103, 104, 105, 106}),
      (std::map<int64_t, std::string>{
          {102, "PartitionNodeLimit"}, {104, "InvalidAccount"}, {105, "QOSMaxNodePerJobLimit"}}));
}

TEST_F(CallJobsOf, ADryRunShowsEveryScript) {
  const auto text = dry_run_text(CallJobs{{call("nodes-1")}, call("collate")}, {});
  const auto first = text.find("#### sbatch " + files_.script("nodes-1").string());
  const auto last = text.find("#### sbatch --dependency=afterany:<all of these> ");
  EXPECT_EQ(first, 0u);
  EXPECT_NE(last, std::string::npos);
  EXPECT_NE(text.find("/bin/true bench scale\n", last), std::string::npos);
}

}  // namespace
}  // namespace stylescope
