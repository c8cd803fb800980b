#pragma once

#include "pipeline/rank_facts.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Before the first step: is this the job that was meant? What is wrong for sure stops the run, with
// what to do; what only looks wrong is a warning.
namespace stylescope {

struct Finding {
  enum class Level { note, warning, failure };
  Level level = Level::note;
  std::string text;
};

// srun that starts N times a world of one (MPI and Slurm do not know each other), or another number
// of ranks than Slurm started.
std::vector<Finding> check_world(int size, const LauncherFacts& launcher);
// Program, configuration and run directory the same everywhere; ranks, GPUs and threads on each
// host.
std::vector<Finding> check_ranks(const std::vector<RankFacts>& ranks);
// `free_bytes` of the file system of the run directory.
std::vector<Finding> check_disk(const std::string& run_dir, int64_t free_bytes);

// Log notes and warnings, throw Error with the first failure. The world first of all: N worlds of
// one must not meet in one run directory. The other, when that is there, is collective.
void check_world(const Communicator& world);
void startup_check(const Launch& at, const std::string& config_yaml,
                   const std::filesystem::path& run_dir);

}  // namespace stylescope
