#pragma once

#include <filesystem>
#include <string>

#include <spdlog/spdlog.h>

// The one global: the program's logger. The root writes to stderr, every rank to its own file of
// the stage in the run directory.
namespace stylescope::log {

// stderr only (root: info and above; other ranks: errors).
void start(int rank, int world_size, bool verbose);
// From now on to logs/<label>.rank-<r>.log (appended, never cut) below the run directory, in place
// of the file before. `label`: the stage. Throws Error when it cannot be written; then the file
// before stays.
void to_file(const std::filesystem::path& run_dir, const std::string& label, int rank);

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace stylescope::log
