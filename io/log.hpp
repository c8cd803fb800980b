#pragma once

#include <filesystem>

#include <spdlog/spdlog.h>

// The one global: the program's logger. The root writes to stderr, every rank to its own file in
// the run directory.
namespace stylescope::log {

// stderr only (root: info and above; other ranks: errors).
void start(int rank, int world_size, bool verbose);
// Adds logs/rank-<r>.log (appended, never cut) below the run directory.
void add_file(const std::filesystem::path& run_dir, int rank);

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace stylescope::log
