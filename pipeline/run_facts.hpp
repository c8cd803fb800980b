#pragma once

#include "pipeline/config.hpp"
#include "pipeline/run_status.hpp"
#include "slurm/cluster.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// A run directory seen from outside: nothing of it is changed or locked.
namespace stylescope {

class RunView {
 public:
  // Reads the configuration that the run was started or submitted with, for the list of stages.
  // Throws UsageError where `run_dir` is no run directory, or its configuration cannot be read.
  explicit RunView(std::filesystem::path run_dir, Slurm slurm = Slurm());

  // How everything stands now. What Slurm said is taken again for `queue_seconds`: its controller
  // serves all users of the cluster. Throws Error for a damaged book of jobs.
  RunFacts facts(double queue_seconds = 0);

  const std::filesystem::path& dir() const { return dir_; }
  std::vector<std::string> stages() const;
  // Throws UsageError, with the nearest name, for what is no stage.
  void check_stage(const std::string& name) const;
  // What starts the run again: "stylescope submit runs/x/slurm/config.yaml", or run where it was
  // never submitted.
  std::string start_again() const;
  const Slurm& slurm() const { return slurm_; }
  // The run directory that makes the stage: of a sweep's run it may be the base run's.
  std::filesystem::path home_of(const std::string& stage) const;

 private:
  StageFacts facts_of(const std::string& name, const std::vector<std::string>& inputs,
                      const JobBook& book) const;
  void ask_slurm(const JobBook& book, const std::vector<StageFacts>& stages);

  std::filesystem::path dir_, config_file_;
  std::vector<std::pair<std::string, std::vector<std::string>>> stages_;  // name, inputs
  RestartLimits limits_;
  Slurm slurm_;
  // Slurm's last answer.
  double asked_ = 0;
  std::vector<int64_t> asked_ids_;
  std::string unreachable_;
  std::vector<QueuedJob> queue_;
  std::vector<FinishedJob> accounts_;
};

// The text of the last line of a log that is a warning and was written at `since` (Unix time) or
// later; "" where there is none in the last 64 KiB.
std::string last_warning(const std::filesystem::path& log, double since);

}  // namespace stylescope
