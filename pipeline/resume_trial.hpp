#pragma once

#include "pipeline/stage.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace stylescope {

// A stage trained twice for some steps, once undisturbed, once killed and started again, by this
// program in processes of their own.
struct ResumeTrial {
  std::filesystem::path program;
  std::vector<std::string> launcher;  // "mpirun -n 4 ..."; empty: one process
  std::filesystem::path config_file;
  std::vector<std::string> overrides;
  std::filesystem::path scratch;       // of its own; holds the runs, and what they said
  std::filesystem::path finished_run;  // its stages are taken as inputs where they are there
  int64_t steps = 20;
  int64_t kills = 2;
  int64_t ranks = 1;
  uint64_t seed = 0;
};

struct TrialOutcome {
  bool same = false;
  std::string text;
};

// `all`: the graph that the stage is of. Throws Error when a run fails by itself.
TrialOutcome try_resume(const ResumeTrial& trial, const Stage& stage,
                        const std::vector<Stage>& all);

}  // namespace stylescope
