#include "pipeline/submit_plan.hpp"

#include "io/base/error.hpp"
#include "io/stage_state.hpp"
#include "pipeline/site_loader.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>

#include <gmock/gmock.h>

namespace stylescope {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::TempDir;

class SubmitPlanOf : public testing::Test {
 protected:
  SubmitPlan planned(const std::vector<std::string>& only = {}, const QueuedStages& queued = {},
                     const JobBook& book = {}) {
    return plan_submission(config_, select(stages_of(config_), "", only), {}, site_, book, queued,
                           {"/work", "/bin/stylescope"});
  }
  static std::vector<std::string> names(const SubmitPlan& plan) {
    std::vector<std::string> found;
    for (const auto& stage : plan.stages) found.push_back(stage.script.stage);
    return found;
  }
  void SetUp() override {
    config_.name = "run";
    config_.run_dir = (dir_ / "run").string();
  }

  TempDir dir_;
  Config config_;
  SiteProfile site_;
};

TEST_F(SubmitPlanOf, AFreshRunSubmitsEveryStageAfterItsDirectInputs) {
  const auto plan = planned();
  ASSERT_EQ(9u, plan.stages.size());
  std::map<std::string, std::vector<std::string>> after;
  for (const auto& stage : plan.stages) after[stage.script.stage] = stage.after;
  EXPECT_THAT(after["ingest"], ElementsAre());
  EXPECT_THAT(after["classifier"], ElementsAre("ingest"));
  EXPECT_THAT(after["gan"], ElementsAre("ingest"));
  EXPECT_THAT(after["encoder"], ElementsAre("synthesize"));
  EXPECT_THAT(after["direction"], ElementsAre("classifier", "synthesize"));
  EXPECT_THAT(after["report"], ElementsAre("evaluate"));
}

TEST_F(SubmitPlanOf, AQueuedStageIsWaitedForAndNotSubmittedAgain) {
  JobBook book;
  book.stages["ingest"].job = 7;
  const auto plan = planned({"ingest", "gan"}, {{"ingest"}}, book);
  EXPECT_THAT(names(plan), ElementsAre("gan"));
  EXPECT_THAT(plan.stages[0].after, ElementsAre("ingest"));
  ASSERT_EQ(1u, plan.others.size());
  EXPECT_EQ("already queued as job 7", plan.others[0].second);
}

TEST_F(SubmitPlanOf, AnInputThatNobodyMakesIsRefused) {
  EXPECT_THROW(planned({"gan"}), UsageError);
}

TEST_F(SubmitPlanOf, ArraysAreOfTheStageThatCanBeSharedOutAndNoLongerThanItsPieces) {
  config_.images = "tile";
  config_.tile.source = "phantom";
  config_.tile.phantom.slides = 6;
  site_.defaults.array = 100;
  EXPECT_EQ(6, planned({"tile"}).stages[0].array);
  config_.slurm.stages["tile"].array = 4;
  for (const auto& stage : planned().stages)
    EXPECT_EQ(stage.script.stage == "tile" ? 4 : 0, stage.array) << stage.script.stage;
  config_.slurm.stages["gan"].array = 4;
  try {
    planned();
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("slurm.stages.gan.array: this stage cannot be shared out"));
  }
}

TEST_F(SubmitPlanOf, ResourcesThatContradictEachOtherAreRefused) {
  site_.defaults.gpus_per_node = 4;
  config_.slurm.stages["gan"].nodes = 2;
  config_.slurm.stages["gan"].tasks = 1;
  EXPECT_THROW(planned(), UsageError);
}

TEST_F(SubmitPlanOf, TheSignalComesAheadByWhatWasMeasured) {
  const fs::path run = config_.run_dir;
  EXPECT_EQ(120, signal_seconds(config_, run, "gan", 0));
  EXPECT_EQ(30, signal_seconds(config_, run, "gan", 60));  // half of the limit at most
  fs::create_directories(run / "gan.partial");
  write_state(run / "gan.partial" / kCheckpointTimesFile, CheckpointTimes{10, 80});
  EXPECT_EQ(200, signal_seconds(config_, run, "gan", 0));  // 20 + 2 * (10 + 80)
  config_.slurm.signal_seconds = 45;
  EXPECT_EQ(45, signal_seconds(config_, run, "gan", 0));
}

TEST(SiteLoader, EverySiteThatIsShippedLoads) {
  for (const char* name : {"generic", "generic-mpirun", "apptainer", "pyxis", "gpu-infiniband"})
    EXPECT_EQ(name, load_site(name).name);
}

TEST(SiteLoader, SaysWhatIsWrong) {
  const TempDir dir;
  const auto refused = [&](const std::string& text) -> std::string {
    const auto file = dir / "site.yaml";
    std::ofstream(file) << text;
    try {
      load_site(file.string());
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refused("launchr: srun"), HasSubstr("did you mean 'launcher'?"));
  EXPECT_THAT(refused("container: apptainer"), HasSubstr("image"));
  EXPECT_THAT(refused("container: pyxis\nimage: a\nlauncher: mpirun"), HasSubstr("srun"));
  EXPECT_THAT(refused("environment: [NCCL_DEBUG]"), HasSubstr("NAME=VALUE"));
  try {
    load_site("generik");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'generic'?"));
  }
}

}  // namespace
}  // namespace stylescope
