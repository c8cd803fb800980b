#pragma once

#include "distributed/gradient_reducer.hpp"
#include "io/base/fields.hpp"
#include "io/checkpoint_writer.hpp"
#include "io/metrics_log.hpp"
#include "io/stage_state.hpp"
#include "io/tensorboard_log.hpp"
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
//   TrainingLoop loop(context, "gan", config.checkpoint, total_steps, config.batch, log_every);
//   loop.add(generator_flat...);                      // everything that a step changes
//   for (int64_t step = loop.start(); step < total_steps; ++step) {
//     ... the step ...
//     loop.end_step(step, [&] { return Figures{{"loss", ...}}; });
//   }
//   loop.finish();
//
// Checkpoints are written beside the training: the root copies the state to host memory, and a
// thread does the rest; the other ranks do not wait. A checkpoint that cannot be written ends the
// training at the end of the step that is under way, or in finish().
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
  // `stage` must live as long as the program (a literal).
  TrainingLoop(RunContext& context, const char* stage, const CheckpointConfig& config,
               int64_t total_steps, int64_t images_per_step, int64_t log_every);

  // Registers state: tensors are loaded in place, numbers written back. Every rank holds the same
  // values.
  void add(const std::string& name, torch::Tensor tensor);
  void add(const std::string& prefix,
           const std::vector<std::pair<std::string, torch::Tensor>>& tensors);
  void add(const std::string& name, int64_t& number);
  void add(const std::string& name, double& number);
  // Its bucket borders. A checkpoint without them is of a version that reduced all gradients in one
  // piece.
  void add(const std::string& name, GradientReducer& reducer);
  // Buffers of a module (running statistics, w_avg), by their registered names.
  void add_buffers(const std::string& prefix, torch::nn::Module& module);

  // Loads the newest checkpoint that is whole (a damaged one is passed over with a warning), cuts
  // metrics.jsonl and the event file back to it, and returns the first step to do. Collective.
  int64_t start();

  // Before start(): anchors, checkpoints of step 0 and of every so many steps, to step back to. Of
  // these the newest two stay whatever `keep` says, and the newest two of at most `limit()`. That
  // an interruption leaves checkpoints in other places does not change where training steps back
  // to.
  void set_anchors(int64_t every, std::function<int64_t()> limit);
  // Goes back, in the middle of the training, to the newest anchor of at most this step, or to the
  // one before where `further` (and where there is one; either way the other one where it is
  // damaged); metrics.jsonl and the event file too. Returns its step, the next one to do. Throws
  // Error when there is none. Collective.
  int64_t step_back(int64_t at_most, bool further);
  // A checkpoint out of turn; those of later steps are removed.
  void checkpoint(int64_t completed) { save(completed); }

  // After each step. `figures` is called on every rank (it may communicate) when a line is due: the
  // line goes to metrics.jsonl and the progress display. Begins a checkpoint when one is due.
  // Throws on every rank: Error when the last one could not be written; Interrupted when a stop was
  // asked for, with a checkpoint on disk. Collective.
  void end_step(int64_t step, const std::function<Figures()>& figures);
  // After the last step: returns when the last checkpoint is on disk, or throws. Collective.
  void finish();
  // A line out of turn (validation results), under its own keys.
  void log(int64_t step, const Figures& figures);
  // A picture for TensorBoard: (C, H, W) uint8, C = 1 or 3. Does nothing on other ranks than the
  // root.
  void log_image(int64_t step, const std::string& tag, const torch::Tensor& pixels);
  bool log_due(int64_t step) const;
  // Images a second since start().
  double rate() const { return progress_.rate(); }
  // Checkpoints begun by this process, and for how many seconds in all they kept the root from
  // training. (0 on other ranks.)
  int64_t checkpoints() const { return checkpoints_; }
  double checkpoint_stall_seconds() const { return stall_.count(); }
  // What this process measured of the work around its steps: images_per_second, checkpoints,
  // checkpoint_stall_seconds, checkpoint_write_seconds and longest_step_seconds (CheckpointTimes of
  // io/stage_state.hpp: what a stop costs), and of the gradients' reduction what was moved, for how
  // long, what of that the steps had to wait for, and the share that was hidden. For a stage's
  // metrics.
  nlohmann::json costs() const;

 private:
  void load(const Checkpoint& checkpoint);
  void share();
  void go_on_at(int64_t step);
  void cut_back(int64_t step);
  std::vector<int64_t> anchors(int64_t at_most) const;
  std::vector<int64_t> held_anchors(int64_t completed) const;
  int64_t load_anchor(const std::vector<int64_t>& candidates);
  void save(int64_t completed);
  void note_step();
  void note_times();

  RunContext& context_;
  const char* stage_;
  CheckpointConfig config_;
  int64_t total_steps_;
  int64_t log_every_;
  CheckpointDirectory directory_;
  MetricsLog metrics_;
  std::shared_ptr<TensorboardLog> events_;  // shared with the writer's thread
  CheckpointWriter writer_;
  Progress progress_;
  std::vector<std::pair<std::string, torch::Tensor>> tensors_;
  std::vector<std::pair<std::string, int64_t*>> integers_;
  std::vector<std::pair<std::string, double*>> reals_;
  std::vector<std::pair<std::string, GradientReducer*>> reducers_;
  int64_t anchor_every_ = 0;  // 0: no anchors
  std::function<int64_t()> anchor_limit_;
  int64_t oldest_anchor_ = 0;
  int64_t checkpoints_ = 0;
  std::chrono::duration<double> stall_{0};
  std::chrono::steady_clock::time_point last_save_, last_step_;
  CheckpointTimes times_, noted_;  // of the root; as they are, as they stand in the file
};

}  // namespace stylescope
