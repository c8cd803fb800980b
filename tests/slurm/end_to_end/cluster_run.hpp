#pragma once

#include "slurm/job_book.hpp"
#include "tests/slurm/cluster/local_cluster.hpp"
#include "tests/support/temp_dir.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stylescope::slurm_tests {

using testing_support::CommandOutcome;
using testing_support::LocalCluster;
using testing_support::QueueRow;
using testing_support::TempDir;
using testing_support::Words;

// What a run asks the test's cluster for: two ranks on two nodes.
struct RunPlan {
  std::string configuration = STYLESCOPE_SMOKE;
  std::string launcher = "srun";      // srun | mpirun
  std::string restart = "requeue";    // requeue | follow_up
  std::string time = "30";            // limit, minutes
  int nodes = 2;                      // a rank on each
  std::vector<std::string> keep_off;  // nodes that its jobs do not use
  Words settings;                     // section.key=value
};

// A moment of a run: squeue's rows of its jobs before and after `status` was asked.
struct Moment {
  std::vector<QueueRow> before, rows;
  nlohmann::json status;  // rows of status --json, by stage
  int code = -1;          // of status

  std::string state(const std::string& stage) const;  // "" where status has no such stage
};

// A run directory, in a folder of its own, whose stages are jobs of the cluster. Each of its
// objects may be used in a thread of its own: what is wrong is collected, not asserted.
class ClusterRun {
 public:
  ClusterRun(const LocalCluster& cluster, RunPlan plan);

  std::filesystem::path folder() const { return folder_.path(); }
  std::filesystem::path run() const { return folder_ / "run"; }
  void copy_stages(const std::filesystem::path& from, const std::vector<std::string>& stages) const;

  CommandOutcome stylescope(const Words& words) const;
  // `stylescope submit` of the configuration; the lines of stdout by stage, "job 12, after ingest".
  std::map<std::string, std::string> submit(const Words& more = {});

  // Jobs of a stage, as the run directory's book has them, and their rows of squeue.
  StageJobs jobs(const std::string& stage) const;
  std::vector<QueueRow> rows(const std::vector<QueueRow>& all, const std::string& stage) const;
  QueueRow row(const std::string& stage) const;  // of its job, now
  std::vector<QueueRow> of_this_run(const std::vector<QueueRow>& all) const;

  // Looks at the queue until `holds`; throws at the deadline. On the way `status` is asked whenever
  // the queue changed and every few seconds, and what it says is compared with squeue and with what
  // it said before; logs must only grow meanwhile. The moment's status may be seconds old.
  Moment watch_until(const std::string& what, std::chrono::seconds deadline,
                     const std::function<bool(const Moment&)>& holds);
  // Until none of its jobs is alive; with what status says then.
  Moment watch_to_the_end(std::chrono::seconds deadline);

  // The newest step of a checkpoint of the stage under way; -1: none.
  int64_t checkpoint(const std::string& stage) const;
  std::string log(const std::string& stage) const;  // of its batch job
  int64_t sessions(const std::string& stage) const;

  void expect(bool holds, const std::string& what);
  const std::vector<std::string>& problems() const { return problems_; }
  size_t times_asked() const { return times_asked_; }

 private:
  void write_site() const;
  Moment look() const;
  bool is_news(const std::vector<QueueRow>& rows) const;
  void ask();
  void compare(const Moment& moment);
  void compare_stage(const Moment& moment, const std::string& stage);
  void compare_with_before(const Moment& moment);
  void look_at_logs();

  const LocalCluster& cluster_;
  RunPlan plan_;
  TempDir folder_;
  Moment last_;
  std::map<std::filesystem::path, std::string> logs_;
  size_t times_asked_ = 0;
  std::chrono::steady_clock::time_point asked_;
  std::vector<std::string> problems_;
};

}  // namespace stylescope::slurm_tests
