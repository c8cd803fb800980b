#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

// Slurm's own commands, and what they print as values. Nothing here is cached.
namespace stylescope {

// What a command printed, and its exit code (-1: it could not be started, -2: it took too long and
// was killed).
struct Captured {
  int code = 0;
  std::string out, err;
};
// Runs words[0] from PATH with no stdin and in a process group of its own; LC_ALL=C, lists are not
// cut short (SLURM_BITSTR_LEN=0), and variables that change what Slurm's commands print are unset.
Captured capture(const std::vector<std::string>& words, std::chrono::milliseconds limit);

// A job (or one task of an array) as squeue shows it.
struct QueuedJob {
  int64_t id = 0;      // of the job, or of its array
  int64_t task = -1;   // of an array; -1: none. A pending rest of an array is one entry, task -1
  int64_t tasks = 1;   // how many tasks that rest has
  std::string state;   // PENDING, RUNNING, COMPLETING, ...
  std::string reason;  // Dependency, DependencyNeverSatisfied, Priority, BeginTime, ...
  std::string nodes;   // "n[1-3]"
  std::string dependency;  // as squeue prints it; "": none
  std::string start;       // "2026-11-25T07:45:11", local time of the cluster; pending: not before
  int64_t restarts = 0;
  int64_t elapsed = 0;  // seconds
  int64_t left = -1;    // seconds to its time limit; -1: no limit
};

// Has a job with this state ended for good? (COMPLETED, FAILED, CANCELLED, TIMEOUT, ...)
bool is_over(const std::string& state);

// Does a pending job with this reason ask for more, or other, than it can get here? No waiting
// mends that. (PartitionNodeLimit, InvalidAccount, QOSMaxNodePerJobLimit, ...)
bool asks_in_vain(const std::string& reason);

// As sacct keeps it.
struct FinishedJob {
  int64_t id = 0;
  int64_t task = -1;
  std::string state;  // COMPLETED, FAILED, TIMEOUT, NODE_FAIL, CANCELLED, OUT_OF_MEMORY, ...
  int exit_code = 0;  // 128 + the signal that ended it
  std::string nodes;
};

class Slurm {
 public:
  using Run = std::function<Captured(const std::vector<std::string>&)>;
  // Tests give a `run` of their own; without one the commands are started, 30 s each at most.
  explicit Slurm(Run run = {});

  // Is there a cluster to talk to? "": yes; else why not, and what to do.
  std::string unreachable() const;
  // sbatch --parsable with these options; the job's id. Throws Error with what sbatch said.
  int64_t submit(const std::vector<std::string>& options, const std::string& script) const;
  // Those of `ids` that Slurm still knows (pending, running, or just ended); asked for in as many
  // calls as it takes. Throws Error when squeue fails for another reason than an unknown id.
  std::vector<QueuedJob> queue(const std::vector<int64_t>& ids) const;
  // Nothing where the cluster keeps no accounts.
  std::optional<std::vector<FinishedJob>> accounts(const std::vector<int64_t>& ids) const;
  // Ids that are gone already are no error.
  void cancel(const std::vector<int64_t>& ids) const;
  // Those of the nodes (names) that do not answer or are down, drained or failing; with the state.
  std::map<std::string, std::string> unfit_nodes(const std::vector<std::string>& nodes) const;
  // MaxArraySize (indices are smaller than it); 1001, Slurm's default, where it is not told.
  int64_t max_array_size() const;

 private:
  Run run_;
};

// "n[1-3,7],gpu04" -> n1 n2 n3 n7 gpu04, zeros kept. Throws Error for what is no node list.
std::vector<std::string> expand_nodes(const std::string& list);

}  // namespace stylescope
