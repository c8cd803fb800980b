#pragma once

#include "io/image_set.hpp"
#include "stages/gan/gan_metrics_config.hpp"
#include "stages/networks/generator.hpp"
#include "stages/quality/quality.hpp"
#include "stages/run_context.hpp"
#include "stages/training/training_loop.hpp"

#include <cstdint>
#include <limits>
#include <memory>

#include <nlohmann/json.hpp>

namespace stylescope {

// Figures of the moving average of G while it is trained, computed in the weights' type throughout
// whatever it trains in, and the best of it so far. Every
// config.every_kimg, and at the end: a line of metrics.jsonl with the figures under their names,
// quality_real and quality_generated (images) and quality_seed; and, where the Frechet distance is
// the smallest so far, best.safetensors in out_dir, published whole, with quality_step,
// quality_figure (its name) and quality_value in its metadata. What is best so far is part of the
// checkpoints: a resumed run writes the same lines and the same file. (A run that was killed behind
// its newest checkpoint may have left a best.safetensors of a later step; it is written again when
// the run gets there.)
class GanQuality {
 public:
  // Does nothing at all where config is off. All of them must outlive it; before loop.start().
  // Throws Error when the feature network is missing or is something else.
  GanQuality(const GanMetricsConfig& config, int64_t batch, int64_t total_steps,
             RunContext& context, const ImageSet& images, Generator average, TrainingLoop& loop);

  // After so many steps. Collective.
  void after(int64_t completed);
  // What is best so far; infinity and 0 before there is any.
  double& best_value() { return best_; }
  int64_t& best_step() { return best_step_; }
  // best_step, best_<figure>, for the stage's metrics; empty where there is none.
  nlohmann::json metrics() const;

 private:
  void copy_weights();
  void keep_best(const QualityFigure& frechet, int64_t completed);

  const GanMetricsConfig& config_;
  int64_t every_ = 0, total_steps_;
  StopSignal deaf_;     // a stop is a matter for the end of the step
  RunContext context_;  // as the stage's, but with its own view of stops and progress
  Generator average_;
  Generator judged_ = nullptr;  // the average's weights, in their own type throughout
  TrainingLoop& loop_;
  std::unique_ptr<FeatureNetwork> network_;
  std::unique_ptr<QualityMeter> meter_;
  double best_ = std::numeric_limits<double>::infinity();
  int64_t best_step_ = 0;
};

}  // namespace stylescope
