#pragma once

#include "distributed/communicator.hpp"
#include "distributed/gradient_reducer.hpp"
#include "distributed/stop_signal.hpp"
#include "stages/artifacts.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

#include <torch/torch.h>

namespace stylescope {

// What a stage gets besides its section of the configuration. It reads what earlier stages
// published under run_dir (stages/artifacts.hpp has the names) and writes under out_dir, which the
// runner renames to run_dir/<stage> when the stage returns.
struct RunContext {
  Communicator& world;
  torch::Device device = torch::kCPU;
  torch::Dtype dtype = torch::kFloat32;  // of training; float64 is a precision for tests
  uint64_t seed = 0;
  std::filesystem::path run_dir;
  std::filesystem::path out_dir;
  StopSignal& stop;
  std::string images = artifacts::images;  // of the stage that makes them: ingest or tile
  ReducerOptions reduction = {};           // of the gradients of training stages
  // A training stage stops after this many of its steps as if it had been asked to (0: it does
  // not): with a checkpoint, by throwing Interrupted.
  int64_t stop_after = 0;
  // Where it says how far it is (io/stage_state.hpp); "": nowhere.
  std::filesystem::path progress_file = {};
  // A stage that can be shared out: this world works on share `task` of `tasks`, at the same time
  // as others in the same out_dir, and leaves it to a run without a task to put all together. -1:
  // it works on all.
  int64_t task = -1, tasks = 0;

  bool is_task() const { return task >= 0; }
  std::filesystem::path images_file() const { return run_dir / images; }
  torch::TensorOptions options() const { return torch::dtype(dtype).device(device); }
};

}  // namespace stylescope
