#pragma once

#include "pipeline/launch.hpp"
#include "pipeline/plan.hpp"
#include "pipeline/stage.hpp"
#include "stages/artifacts.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace stylescope {

struct RunSettings {
  std::string name;
  std::filesystem::path run_dir;
  RunKey key;
  std::string config_yaml;              // published as <run_dir>/config.yaml
  std::vector<std::string> all_stages;  // of the graph, for manifest.json
  // Stages chosen by --only may work beside one another in one run directory (Slurm jobs do), a
  // whole run may not.
  bool alone = true;
  std::string images = artifacts::images;  // RunContext::images
  ReducerOptions reduction = {};           // RunContext::reduction
  int64_t stop_after = 0;                  // RunContext::stop_after
  int64_t task = -1, tasks = 0;            // RunContext::task; of the one stage that is selected
};

// Runs what is not up to date, in order; each stage publishes its folder when it ends, but for a
// task, which leaves that to a run without one. How it went is told in the run directory
// (io/stage_state.hpp). Collective. Throws what a stage throws; Interrupted when a stop was asked
// for; Error when another run works in the directory.
void run_stages(const std::vector<Stage>& selected, const RunSettings& settings,
                const Launch& launch);

}  // namespace stylescope
