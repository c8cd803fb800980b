#pragma once

#include "pipeline/config.hpp"
#include "pipeline/submit_plan.hpp"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

// What `submit --dry-run` says of hours, GPU hours and disk.
namespace stylescope {

struct EstimateSources {
  std::vector<std::string> rates;  // run directories, and reports of bench scale or comm
  bool measure = false;            // here and now, what the rates do not tell
  double seconds = 3;              // for each network and pass
};

// --rates, --measure and --measure-seconds, which need `dry_run`.
void add_estimate_options(CLI::App& app, CLI::Option* dry_run, EstimateSources& sources);

// The estimate of the plan's stages, "" where there are none. The run directory itself is the last
// source of rates. Throws UsageError for a source that is neither run directory nor report.
std::string submission_estimate(Config& config, const SubmitPlan& plan,
                                const EstimateSources& sources);

}  // namespace stylescope
