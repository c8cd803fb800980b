#pragma once

#include "distributed/communicator.hpp"
#include "distributed/stop_signal.hpp"
#include "io/base/error.hpp"
#include "io/sha256.hpp"
#include "stages/run_context.hpp"
#include "stages/tile/tile_stage.hpp"

#include <filesystem>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

namespace stylescope::testing_support {

// The stage with the seed 5, into run_dir/out; as a task, where one is given.
inline nlohmann::json run_tile_into(const TileConfig& config, Communicator& world,
                                    const std::filesystem::path& run_dir,
                                    const std::string& out = "tile.partial", int64_t task = -1,
                                    int64_t tasks = 0) {
  StopSignal stop;
  RunContext context{world, torch::kCPU, torch::kFloat32, 5, run_dir, run_dir / out, stop};
  context.task = task;
  context.tasks = tasks;
  if (world.is_root()) std::filesystem::create_directories(context.out_dir);
  world.barrier();
  return run_tile(config, context);
}

inline std::string tile_failure(const TileConfig& config, const std::filesystem::path& run_dir) {
  SelfCommunicator world;
  try {
    run_tile_into(config, world, run_dir);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// What must be the same bits however often a run was interrupted, on any number of ranks and
// threads: pixels, tables, pictures, outlines. Left out: slides/*.json (times) and
// slides.csv (which reader).
inline std::map<std::string, std::string> tile_files(const std::filesystem::path& out) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out)) {
    const auto name = entry.path().lexically_relative(out).string();
    if (entry.is_regular_file() && !name.starts_with("slides"))
      files[name] = sha256_of_file(entry.path());
  }
  return files;
}

}  // namespace stylescope::testing_support
