#pragma once

#include "io/base/fields.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

// What a job asks Slurm for. 0 and "" say nothing: the value comes from what stands behind (a
// stage's own, then the configuration's defaults, then the site's, then one task on one node).
struct Resources {
  int64_t nodes = 0;
  int64_t tasks = 0;           // of all nodes together
  int64_t tasks_per_node = 0;  // a rank each
  int64_t cpus_per_task = 0;
  int64_t gpus_per_node = 0;
  int64_t gpus_per_task = 0;
  std::string memory;  // a node, as sbatch --mem takes it: 64G
  std::string time;    // as sbatch --time takes it: minutes, h:mm:ss, d-hh
  std::string partition, account, qos, constraint;
  int64_t array = 0;  // tile alone: at most so many jobs side by side, a share of the slides each
  int64_t array_limit = 0;           // of them at work at the same time; 0: all
  std::vector<std::string> options;  // further options of sbatch, as written

  void describe(Fields& f);
  // Throws UsageError for what no single field can say.
  void check(const std::string& where) const;
  int64_t rank_count() const;
  int64_t gpu_count() const;
};

// One task for ten minutes, where jobs that ask for `others` may run.
Resources brief_task(const Resources& others);

// Every field that `own` leaves open is taken from `behind`; options add up.
Resources over(const Resources& own, const Resources& behind);

// "90", "1:30:00", "2-12" (days-hours) ... as sbatch reads them, in seconds; 0 for "" and
// "UNLIMITED". Throws UsageError for anything else, naming `where`.
int64_t seconds_of(const std::string& time, const std::string& where);

}  // namespace stylescope
