#pragma once

#include "tests/slurm/cluster/command.hpp"
#include "tests/support/temp_dir.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace stylescope::testing_support {

struct ClusterShape {
  int nodes = 4;  // n1, n2, ...
  int cpus = 2;   // of each; they may be more than the machine has
  int max_array_size = 1001;
};

// A line of squeue; one a task of an array.
struct QueueRow {
  int64_t job = 0;    // the array's, if it is a task
  int64_t task = -1;  // of an array
  std::string name, state, reason, nodes, partition;
  int64_t restarts = 0;
  bool ended() const;  // COMPLETED, FAILED, CANCELLED, ...
};

// A real Slurm cluster on this machine: munged, slurmctld and a slurmd for each node, with their
// configuration, key, sockets, ports and logs in a temporary folder. Partitions main and, above it,
// urgent, whose jobs requeue those of main. Deadlines are short: a requeued job starts again after
// 13 s, a node that is lost is down after 15 s. Time limits are looked at every 30 s, as
// everywhere.
//
// All processes, those of jobs too, end with the object, and also when this process is killed.
class LocalCluster {
 public:
  // Throws std::runtime_error, with what the daemons said, where it does not come up.
  explicit LocalCluster(const ClusterShape& shape = {});
  ~LocalCluster();

  // Why no cluster can be started on this machine: a sentence; "": it can be tried.
  static std::string obstacle();

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::vector<std::string> nodes() const;

  // Runs a command that talks to this cluster (SLURM_CONF), in `working` ("": the cluster's
  // folder); one minute at most. May be called from several threads.
  CommandOutcome run(const Words& words, const Environment& environment = {},
                     const std::filesystem::path& working = {}) const;
  // The same; its output without the last newline. Throws std::runtime_error where it fails.
  std::string ask(const Words& words, const Environment& environment = {}) const;

  // All jobs that the cluster remembers, also those that have ended.
  std::vector<QueueRow> queue() const;
  // Until holds(the queue's rows); throws std::runtime_error, with the queue, at the deadline.
  void wait_until(const std::string& what, std::chrono::seconds deadline,
                  const std::function<bool(const std::vector<QueueRow>&)>& holds) const;
  void wait_until_ended(int64_t job, std::chrono::seconds deadline) const;

  // A node loses its power: its slurmd, and all that its jobs run on it, are killed.
  void kill_node(const std::string& node);
  // It comes back; returns when it is idle.
  void start_node(const std::string& node);
  // The node's processes that are there now.
  std::vector<pid_t> processes(const std::string& node) const;

 private:
  void write_configuration(const ClusterShape& shape) const;
  void start(const std::string& name, const Words& words);
  void await_nodes(int count, const std::string& state) const;
  std::string logs() const;

  TempDir folder_;
  int nodes_;
  std::map<std::string, std::unique_ptr<KeptCommand>> daemons_;
};

}  // namespace stylescope::testing_support
