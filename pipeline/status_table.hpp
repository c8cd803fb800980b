#pragma once

#include "pipeline/run_status.hpp"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// How the rows of a run are shown.
namespace stylescope {

// A line a stage, columns aligned; lines are cut to `width` characters (0: never).
std::string status_table(const std::vector<StageStatus>& rows, size_t width);

// What the user must do, a sentence each. `start_again`: the command that starts the run again.
std::vector<std::string> what_to_do(const std::vector<StageStatus>& rows,
                                    const std::string& run_dir, const std::string& start_again);

// An array of objects; null where something is not known.
nlohmann::ordered_json status_json(const std::vector<StageStatus>& rows);

// "1h20m", "3m05s".
std::string duration_words(double seconds);

}  // namespace stylescope
