#include "pipeline/sweep_submission.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing_support::TempDir;
using Words = std::vector<std::string>;

// sbatch numbers its jobs from 101 on; all of them stay pending until they are cancelled.
struct FakeCluster {
  std::vector<Words> asked;
  std::set<int64_t> alive;
  int64_t jobs = 100;
  Slurm slurm{[this](const Words& words) -> Captured {
    if (words[0] == "scontrol") return {0, "MaxArraySize            = 1001\n", ""};
    if (words[0] == "sbatch") {
      asked.push_back(words);
      alive.insert(++jobs);
      return {0, std::to_string(jobs) + "\n", ""};
    }
    if (words[0] == "scancel")
      for (size_t i = 1; i < words.size(); ++i) alive.erase(std::atoll(words[i].c_str()));
    return {0, words[0] == "squeue" ? queue() : "", ""};
  }};

  std::string queue() const {
    std::string text;
    for (const auto id : alive)
      text += std::to_string(id) + "|N/A|PENDING|Dependency||(null)|0|0:00|UNLIMITED|N/A|\n";
    return text;
  }

  // By the script's place in the run directory: what it waits for. Of follow-ups: the first.
  std::map<std::string, std::string> dependencies(const fs::path& run) const {
    std::map<std::string, std::string> found;
    for (const auto& words : asked)
      for (const auto& word : words)
        if (word.starts_with("--dependency="))
          found.emplace(fs::relative(words.back(), run).string(), word.substr(13));
    return found;
  }
};

class SweepSubmissionOf : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(dir_ / "base.yaml")
        << "seed: 1\ningest: {source: phantom}\ndirection: {threshold: 0.5}\nrun_dir: "
        << run().string() << "\n";
  }
  fs::path run() const { return dir_ / "run"; }

  // What it says.
  std::string submit(const Words& sweeps, const std::string& restart = "requeue") {
    Config base = load_config(dir_ / "base.yaml", {});
    SiteProfile site;
    site.restart = restart;
    site.follow_ups = 1;
    SweepSubmission sweep(base, site, {"/work", "/bin/stylescope"}, false);
    std::vector<SweepAxis> axes;
    for (const auto& text : sweeps) axes.push_back(parse_sweep(text));
    for (const auto& point : sweep_points(axes))
      sweep.add(point, point_config(dir_ / "base.yaml", {}, base, point));
    testing::internal::CaptureStdout();
    try {
      if (dry_)
        sweep.print(cluster_.slurm, {});
      else
        sweep.submit(cluster_.slurm);
    } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
    }
    return testing::internal::GetCapturedStdout();
  }

  TempDir dir_;
  FakeCluster cluster_;
  bool dry_ = false;
};

TEST_F(SweepSubmissionOf, RunsWaitForWhatTheBaseRunMakesAndTheTableForAll) {
  submit({"explain.images=2,3"});
  // Six shared stages, three stages for each of the runs, and the table.
  ASSERT_EQ(6u + 2 * 3 + 1, cluster_.asked.size());
  const auto after = cluster_.dependencies(run());
  EXPECT_EQ("afterok:101", after.at("slurm/gan.sbatch"));
  const auto base = read_job_book(SlurmFiles(run())).stages;
  const auto both = "afterok:" + std::to_string(base.at("encoder").job) + ":" +
                    std::to_string(base.at("direction").job);
  EXPECT_EQ(both, after.at("sweep/explain.images=2/slurm/explain.sbatch"));
  EXPECT_EQ(both, after.at("sweep/explain.images=3/slurm/explain.sbatch"));
  EXPECT_EQ("afterok:107", after.at("sweep/explain.images=2/slurm/evaluate.sbatch"));
  EXPECT_EQ("afterok:110", after.at("sweep/explain.images=3/slurm/evaluate.sbatch"));
  EXPECT_EQ("afterany:109:112", after.at("slurm/sweep.sbatch"));
  EXPECT_TRUE(is_shared(run() / "sweep/explain.images=2/gan"));
  EXPECT_FALSE(is_shared(run() / "sweep/explain.images=2/explain"));
  EXPECT_THAT(read_text(run() / "slurm/sweep.sbatch"),
              HasSubstr("/bin/stylescope sweep " + run().string()));
}

TEST_F(SweepSubmissionOf, WithFollowUpsRunsWaitForTheGatesOfTheBaseRun) {
  submit({"explain.images=2,3"}, "follow_up");
  const auto base = read_job_book(SlurmFiles(run())).stages;
  ASSERT_GT(base.at("encoder").gate, 0);
  EXPECT_EQ("afterok:" + std::to_string(base.at("encoder").gate) + ":" +
                std::to_string(base.at("direction").gate),
            cluster_.dependencies(run()).at("sweep/explain.images=3/slurm/explain.sbatch"));
}

TEST_F(SweepSubmissionOf, ADryRunChangesNothing) {
  dry_ = true;
  const auto said = submit({"gan.r1_gamma=1,5"});
  EXPECT_THAT(said, HasSubstr("#### sbatch --dependency=afterok:<ingest> " +
                              (run() / "sweep/gan.r1_gamma=5/slurm/gan.sbatch").string()));
  EXPECT_THAT(said, HasSubstr("#### sbatch --dependency=afterany:<the last jobs of all runs>"));
  EXPECT_THAT(cluster_.asked, IsEmpty());
  EXPECT_FALSE(fs::exists(run()));
}

TEST_F(SweepSubmissionOf, WhatIsQueuedIsNotSubmittedAgain) {
  submit({"explain.images=2,3"});
  cluster_.asked.clear();
  const auto said = submit({"explain.images=2,3"});
  EXPECT_THAT(cluster_.asked, IsEmpty());
  EXPECT_THAT(said, HasSubstr("gan: already queued as job "));
  EXPECT_THAT(said, HasSubstr("explain.images=3 report: already queued as job 112"));
  EXPECT_THAT(said, HasSubstr("sweep: already queued as job 113"));
}

TEST_F(SweepSubmissionOf, ARunThatWasCancelledIsSubmittedAgainAndTheTableWaitsForIt) {
  submit({"explain.images=2,3"});
  for (const int64_t job : {110, 111, 112}) cluster_.alive.erase(job);
  cluster_.asked.clear();
  submit({"explain.images=2,3"});
  ASSERT_EQ(3u + 1, cluster_.asked.size());
  EXPECT_FALSE(cluster_.alive.contains(113));  // the earlier table's
  const auto after = cluster_.dependencies(run());
  EXPECT_EQ("afterok:115", after.at("sweep/explain.images=3/slurm/report.sbatch"));
  EXPECT_EQ("afterany:109:116", after.at("slurm/sweep.sbatch"));
}

TEST_F(SweepSubmissionOf, ARunThatIsQueuedWithOtherSettingsStopsTheSweepBeforeItBegins) {
  submit({"explain.images=2,3"});
  cluster_.asked.clear();
  std::ofstream(dir_ / "base.yaml", std::ios::app) << "evaluate: {bootstrap: 300}\n";
  EXPECT_THROW(submit({"explain.images=2,3"}), UsageError);
  EXPECT_THAT(cluster_.asked, IsEmpty());
}

TEST_F(SweepSubmissionOf, ASweepOfTheFilesOwnValueIsRefused) {
  EXPECT_THROW(submit({"seed=1"}), UsageError);
  EXPECT_FALSE(fs::exists(run()));
}

}  // namespace
}  // namespace stylescope
