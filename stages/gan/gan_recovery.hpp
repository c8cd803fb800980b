#pragma once

#include "stages/gan/divergence.hpp"
#include "stages/gan/gan_draws.hpp"
#include "stages/gan/gan_trainer.hpp"
#include "stages/run_context.hpp"
#include "stages/training/training_loop.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stylescope {

// What the sentinel's alarm leads to: back to the last anchor from before the first suspect step,
// with other latents and noise and a smaller learning rate, or the same would happen again. A
// training that diverges once more before it has got past that place goes back one anchor further.
// After sentinel.retries times the stage fails. Each time is a line of step_backs.jsonl and a
// warning.
class GanRecovery {
 public:
  // batch: images a step. `loop` is about to start.
  GanRecovery(const SentinelConfig& config, double total_kimg, int64_t batch, RunContext& context,
              TrainingLoop& loop, GanTrainer& trainer, KeyedGanDraws& draws);
  GanRecovery(const GanRecovery&) = delete;
  GanRecovery& operator=(const GanRecovery&) = delete;

  // The first step to do, of TrainingLoop's. Collective.
  int64_t start();
  // After each step, ahead of its checkpoint: the step to go on with where it was a divergence.
  // Collective.
  std::optional<int64_t> after(int64_t step, const GanStepFigures& figures);
  // After the last step: a warning where it was suspect.
  void finish() const;
  // Of what is not given up with the steps; before start().
  void keep(double& number) { kept_reals_.push_back(&number); }
  void keep(int64_t& number) { kept_integers_.push_back(&number); }
  int64_t step_backs() const { return step_backs_; }

 private:
  void apply();
  void record(int64_t step, int64_t back_to, const std::string& reason) const;
  double rate_factor() const;

  SentinelConfig config_;
  RunContext& context_;
  TrainingLoop& loop_;
  GanTrainer& trainer_;
  KeyedGanDraws& draws_;
  DivergenceSentinel sentinel_;
  std::vector<double*> kept_reals_;
  std::vector<int64_t*> kept_integers_;
  int64_t step_backs_ = 0;
  int64_t furthest_ = -1;  // the latest step at which it has diverged
};

}  // namespace stylescope
