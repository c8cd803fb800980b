#pragma once

#include "io/base/fields.hpp"
#include "io/checkpoint.hpp"
#include "io/metrics_log.hpp"
#include "stages/run_context.hpp"
#include "stages/training/progress.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

// What every training stage shares around its step: resume, checkpoints, metrics, progress,
// stopping.
//
//   TrainingLoop loop(context, "gan", config.checkpoint, total_steps, config.batch);
//   loop.add(generator_flat...);                      // everything that a step changes
//   for (int64_t step = loop.start(); step < total_steps; ++step) {
//     ... the step ...
//     loop.end_step(step, [&] { return Figures{{"loss", ...}}; });
//   }
namespace stylescope {

using Figures = std::vector<std::pair<std::string, double>>;

struct CheckpointConfig {
  double minutes = 5;
  int64_t steps = 0;
  int64_t keep = 2;
  void describe(Fields& f);
};

class TrainingLoop {
 public:
  TrainingLoop(RunContext& context, std::string stage, const CheckpointConfig& config,
               int64_t total_steps, int64_t images_per_step, int64_t log_every);

  // Registers state: tensors are loaded in place, numbers written back. Every rank holds the same
  // values.
  void add(const std::string& name, torch::Tensor tensor);
  void add(const std::string& prefix,
           const std::vector<std::pair<std::string, torch::Tensor>>& tensors);
  void add(const std::string& name, int64_t& number);
  void add(const std::string& name, double& number);
  // Buffers of a module (running statistics, w_avg), by their registered names.
  void add_buffers(const std::string& prefix, torch::nn::Module& module);

  // Loads the newest checkpoint that is whole (a damaged one is passed over with a warning), cuts
  // metrics.jsonl back to it, and returns the first step to do. Collective.
  int64_t start();

  // After each step. `figures` is called on every rank (it may communicate) when a line is due: the
  // line goes to metrics.jsonl and the progress display. Writes a checkpoint when one is due;
  // throws Interrupted after writing one when a stop was asked for. Collective.
  void end_step(int64_t step, const std::function<Figures()>& figures);
  // A line out of turn (validation results), under its own keys.
  void log(int64_t step, const Figures& figures);
  bool log_due(int64_t step) const;
  // Images a second since start().
  double rate() const { return progress_.rate(); }

 private:
  void save(int64_t completed);

  RunContext& context_;
  std::string stage_;
  CheckpointConfig config_;
  int64_t total_steps_;
  int64_t log_every_;
  CheckpointDirectory directory_;
  MetricsLog metrics_;
  Progress progress_;
  std::vector<std::pair<std::string, torch::Tensor>> tensors_;
  std::vector<std::pair<std::string, int64_t*>> integers_;
  std::vector<std::pair<std::string, double*>> reals_;
  std::chrono::steady_clock::time_point last_save_;
};

}  // namespace stylescope
