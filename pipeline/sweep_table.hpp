#pragma once

#include "pipeline/run_status.hpp"
#include "pipeline/sweep.hpp"

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// What the runs of a sweep came to. Pure.
namespace stylescope {

struct SweepResult {
  SweepPoint point;
  std::string state;                              // sweep_state
  std::map<std::string, nlohmann::json> metrics;  // of each finished stage that is its own
  // Of each finished stage, shared ones too: for the figures of the table.
  std::map<std::string, nlohmann::json> all_metrics;
};

// A whole run in a word or two: done, "failed (gan)", "stopped (gan)", at work, or waiting.
std::string sweep_state(const std::vector<StageStatus>& rows);

// A row a run: the swept values, the state, and those of the figures that matter which some run
// has. "-": not there.
std::string sweep_table(const std::vector<SweepResult>& results);

// The same as CSV with all numbers of the runs' own stages, a column <stage>.<metric> each; empty
// where a run does not have it.
std::string sweep_csv(const std::vector<SweepResult>& results);

}  // namespace stylescope
