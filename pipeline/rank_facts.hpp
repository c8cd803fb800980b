#pragma once

#include "pipeline/launch.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stylescope {

// What a rank knows of itself before work begins; the start-up check compares them
// (startup_check.hpp).
struct RankFacts {
  std::string host;
  std::vector<int> cores;    // that the process may run on, by number
  int64_t threads = 1;       // that it computes with
  std::string gpu;           // "": none; else its bus id on the host
  int64_t gpus = 0;          // that this process sees
  std::string program;       // hash of the executable
  std::string config;        // hash of the resolved configuration
  bool sees_run_dir = true;  // what the root wrote there just now
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(RankFacts, host, cores, threads, gpu, gpus, program, config,
                                 sees_run_dir)
};

// The cores that this process may run on, by number.
std::vector<int> allowed_cores();

// What the launcher says; -1: nothing.
struct LauncherFacts {
  bool mpirun = false;      // Open MPI's own launcher
  int64_t step_tasks = -1;  // of this srun step: SLURM_STEP_NUM_TASKS
  int64_t job_tasks = -1;   // of the allocation: SLURM_NTASKS
};
LauncherFacts launcher_facts();

// All ranks' facts, in rank order; the root writes a file into `run_dir` for a moment and the
// others look for it. Collective.
std::vector<RankFacts> gather_facts(const Launch& at, const std::string& config_yaml,
                                    const std::filesystem::path& run_dir);

}  // namespace stylescope
