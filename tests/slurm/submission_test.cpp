#include "slurm/submission.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TempDir;
using Words = std::vector<std::string>;

// sbatch that numbers its jobs from 101 and keeps what it was asked; it refuses once `budget` is
// spent.
struct FakeCluster {
  std::vector<Words> asked;
  int budget = 1000;
  Slurm slurm{[this](const Words& words) -> Captured {
    if (words[0] == "scontrol") return {0, "MaxArraySize            = 4\n", ""};
    if (words[0] != "sbatch") return {1, "", "unexpected " + words[0]};
    if (budget-- == 0) return {1, "", "sbatch: error: QOSMaxSubmitJobPerUserLimit"};
    asked.push_back(words);
    return {0, std::to_string(100 + asked.size()) + "\n", ""};
  }};

  std::string option(size_t job, const std::string& name) const {
    for (const auto& word : asked.at(job))
      if (word.starts_with("--" + name + "=")) return word.substr(name.size() + 3);
    return "";
  }
};

PlannedStage planned(const TempDir& dir, const std::string& name, const Words& after = {}) {
  PlannedStage stage;
  stage.script.run_name = "run";
  stage.script.stage = name;
  stage.script.run_dir = dir.path();
  stage.script.work_dir = dir.path();
  stage.script.program = "/bin/true";
  stage.after = after;
  return stage;
}

TEST(Submission, InputsThatAnotherInputWaitsForAreImplied) {
  const std::map<std::string, Words> inputs{{"images", {}},
                                            {"gan", {"images"}},
                                            {"synthesize", {"images", "gan"}},
                                            {"classifier", {"images"}}};
  EXPECT_EQ(Words{"synthesize"}, without_implied({"images", "gan", "synthesize"}, inputs));
  EXPECT_EQ((Words{"classifier", "synthesize"}),
            without_implied({"images", "classifier", "synthesize"}, inputs));
}

TEST(Submission, ArraysAreCutAtMaxArraySize) {
  EXPECT_EQ((std::vector<int64_t>{4, 4, 2}), array_sizes(10, 4));
  EXPECT_EQ((std::vector<int64_t>{3}), array_sizes(3, 1001));
  EXPECT_TRUE(array_sizes(0, 4).empty());
}

TEST(Submission, JobsWaitForOneAnother) {
  const TempDir dir;
  FakeCluster cluster;
  JobBook book;
  const SlurmFiles files(dir.path());
  std::vector<std::string> said;
  submit_stages(
      cluster.slurm,
      {planned(dir, "ingest"), planned(dir, "gan", {"ingest"}),
       planned(dir, "classifier", {"ingest"}), planned(dir, "direction", {"classifier", "gan"})},
      {}, files, book, [&](const StageJobs& jobs) { said.push_back(jobs.stage); });
  EXPECT_EQ((Words{"ingest", "gan", "classifier", "direction"}), said);
  EXPECT_EQ("", cluster.option(0, "dependency"));
  EXPECT_EQ("afterok:101", cluster.option(1, "dependency"));
  EXPECT_EQ("afterok:101", cluster.option(2, "dependency"));
  EXPECT_EQ("afterok:103:102", cluster.option(3, "dependency"));
  EXPECT_EQ(104, read_job_book(files).stages.at("direction").job);
  EXPECT_TRUE(std::filesystem::exists(files.script("gan")));
}

TEST(Submission, AnArrayIsCutThrottledAndNumberedThrough) {
  const TempDir dir;
  FakeCluster cluster;
  JobBook book;
  auto tile = planned(dir, "tile");
  tile.array = 10;
  tile.script.resources.array_limit = 6;
  submit_stages(cluster.slurm, {tile, planned(dir, "gan", {"tile"})}, {}, SlurmFiles(dir.path()),
                book, [](const StageJobs&) {});
  ASSERT_EQ(5u, cluster.asked.size());
  EXPECT_EQ("0-3%2", cluster.option(0, "array"));
  EXPECT_EQ("0-1%2", cluster.option(2, "array"));
  EXPECT_EQ("ALL,STYLESCOPE_FIRST_SHARE=8", cluster.option(2, "export"));
  EXPECT_EQ("afterany:101:102:103", cluster.option(3, "dependency"));
  EXPECT_EQ("afterok:104", cluster.option(4, "dependency"));
  EXPECT_EQ((std::vector<int64_t>{4, 4, 2}), book.stages.at("tile").array_tasks);
}

TEST(Submission, FollowUpsStartWhenAllBeforeFailed) {
  const TempDir dir;
  FakeCluster cluster;
  JobBook book;
  SiteProfile site;
  site.restart = "follow_up";
  site.follow_ups = 2;
  submit_stages(
      cluster.slurm,
      {planned(dir, "gan"), planned(dir, "synthesize", {"gan"}), planned(dir, "classifier"),
       planned(dir, "direction", {"classifier", "synthesize"})},
      site, SlurmFiles(dir.path()), book, [](const StageJobs&) {});
  EXPECT_EQ("afternotok:101", cluster.option(1, "dependency"));
  EXPECT_EQ("afternotok:101,afternotok:102", cluster.option(2, "dependency"));
  EXPECT_EQ("afterok:101?afterok:102?afterok:103", cluster.option(3, "dependency"));
  // direction waits for two stages: Slurm cannot say (A or B) and (C or D), so gates stand for
  // them.
  const auto& gate = book.stages.at("classifier").gate;
  EXPECT_GT(gate, 0);
  EXPECT_EQ("afterok:108?afterok:109?afterok:110",
            cluster.option(static_cast<size_t>(gate) - 101, "dependency"));
  EXPECT_EQ(
      detail::concatenate("afterok:", gate, ":", book.stages.at("synthesize").gate),
      cluster.option(static_cast<size_t>(book.stages.at("direction").job) - 101, "dependency"));
}

TEST(Submission, WhatWasSubmittedBeforeAFailureIsInTheBook) {
  const TempDir dir;
  FakeCluster cluster;
  cluster.budget = 2;
  JobBook book;
  const SlurmFiles files(dir.path());
  try {
    submit_stages(cluster.slurm,
                  {planned(dir, "a"), planned(dir, "b", {"a"}), planned(dir, "c", {"b"})}, {},
                  files, book, [](const StageJobs&) {});
    FAIL() << "sbatch's refusal was overlooked";
  } catch (const Error& error) {
    EXPECT_NE(std::string::npos, std::string(error.what()).find("QOSMaxSubmitJobPerUserLimit"));
  }
  EXPECT_EQ(101, read_job_book(files).stages.at("a").job);
  EXPECT_EQ(102, read_job_book(files).stages.at("b").job);
  EXPECT_FALSE(read_job_book(files).stages.contains("c"));
}

TEST(Submission, ADryRunNamesStagesInThePlaceOfJobs) {
  const TempDir dir;
  const auto text =
      dry_run_text({planned(dir, "ingest"), planned(dir, "gan", {"ingest"})}, {}, 1001);
  EXPECT_NE(std::string::npos, text.find("--dependency=afterok:<ingest>"));
  EXPECT_NE(std::string::npos, text.find("#SBATCH --job-name=run.gan"));
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "slurm"));
}

}  // namespace
}  // namespace stylescope
