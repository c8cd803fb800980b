#pragma once

#include "pipeline/config.hpp"
#include "pipeline/plan.hpp"
#include "slurm/job_book.hpp"
#include "slurm/site_profile.hpp"
#include "slurm/submission.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

// Which stages of a run become jobs, and what each asks for.
namespace stylescope {

// What is known before: the jobs that Slurm still has for this run's stages.
struct QueuedStages {
  std::set<std::string> names;
};

struct SubmitPlan {
  std::vector<PlannedStage> stages;  // to submit, in order
  // The rest, and why not: "up to date", "already queued as job 12".
  std::vector<std::pair<std::string, std::string>> others;
  std::vector<std::string> notes;  // what the user should hear besides
  std::set<std::string> resumed;   // of the stages: those that go on from <stage>.partial
};

struct SubmitPlaces {
  std::filesystem::path work_dir;  // absolute
  std::filesystem::path program;   // absolute
};

// Changes nothing. `selected` of stages_of(config). Throws UsageError where an input is neither
// there, nor selected, nor queued.
SubmitPlan plan_submission(Config& config, const std::vector<Stage>& selected, const RunKey& key,
                           const SiteProfile& site, const JobBook& book, const QueuedStages& queued,
                           const SubmitPlaces& places);

// Seconds before the time limit at which a stage should be told to stop: from what its steps and
// checkpoints took, where an earlier session or run in `run_dir` measured that; else 120. Never
// more than half of the limit (0: none).
double signal_seconds(const Config& config, const std::filesystem::path& run_dir,
                      const std::string& stage, int64_t limit_seconds);

}  // namespace stylescope
