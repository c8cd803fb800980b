#pragma once

#include "pipeline/submission_estimate.hpp"
#include "pipeline/submit_plan.hpp"
#include "pipeline/sweep.hpp"
#include "slurm/cluster.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace stylescope {

// Submits a sweep: the shared stages in the base run's directory, every point as a run of its own
// whose jobs wait for them, and a job that tells what all came to.
class SweepSubmission {
 public:
  // `base` and `site` must outlive it.
  SweepSubmission(Config& base, const SiteProfile& site, SubmitPlaces places, bool strict);

  void add(const SweepPoint& point, Config config);
  // What is not up to date and not queued. Throws UsageError where two runs, or all runs and the
  // base, would come out the same, and what submit_stages throws.
  void submit(const Slurm& slurm);
  // A dry run: the scripts on stdout. Needs no cluster and changes nothing.
  void print(const Slurm& slurm, const EstimateSources& sources);

 private:
  // A run: the base, or a point.
  struct Run {
    SweepPoint point;  // of the base: empty
    Config* config = nullptr;
    SlurmFiles files;
    JobBook book;
    QueuedStages queued;  // with a dry run's or an earlier submission's
    SubmitPlan plan;
    std::string label;  // before what is said of it
  };

  void plan(const Slurm& slurm, bool dry_run);
  Run plan_base(const Slurm& slurm, bool dry_run);
  Run plan_point(const Slurm& slurm, bool dry_run, size_t index);
  SubmitPlan plan_of(Run& run, const std::set<std::string>& stages, const QueuedStages& queued);
  void submit_point(const Slurm& slurm, Run& run);
  void submit_last(const Slurm& slurm);
  std::vector<int64_t> last_jobs(const Slurm& slurm) const;
  JobScript last_script() const;
  static void note(const Run& run);
  static void tell(const Run& run);

  Config& base_config_;
  const SiteProfile& site_;
  SiteProfile point_site_;  // a container sees the base run's directory too
  SubmitPlaces places_;
  bool strict_;
  std::vector<SweepPoint> points_;
  std::vector<Config> configs_;
  std::set<std::string> all_, shared_;
  std::optional<Run> base_;
  std::vector<Run> runs_;
};

}  // namespace stylescope
