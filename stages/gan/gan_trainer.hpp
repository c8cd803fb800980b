#pragma once

#include "distributed/communicator.hpp"
#include "distributed/gradient_reducer.hpp"
#include "stages/augment/ada.hpp"
#include "stages/augment/pipe.hpp"
#include "stages/gan/gan_config.hpp"
#include "stages/gan/gan_draws.hpp"
#include "stages/networks/discriminator.hpp"
#include "stages/networks/generator.hpp"
#include "stages/training/flat_parameters.hpp"
#include "stages/training/optimizer.hpp"

#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// A rank's share of the step's real images.
struct RealBatch {
  torch::Tensor images;  // (n, C, H, W) in [-1, 1]; n may be 0
  torch::Tensor labels;  // (n, classes) one-hot; undefined when unconditional
};

// What a step did, over all ranks. A lazy phase that did not run has ran = false and zeros.
struct GanStepFigures {
  double loss_g = 0, loss_d = 0;          // mean losses, without regularisers
  double path_loss = 0, path_length = 0;  // weight * mean penalty; mean length
  double r1_loss = 0;                     // gamma / 2 * mean penalty
  double logit_real = 0, logit_fake = 0;  // means in d_main
  double sign_real = 0;                   // of d_main: mean sign(D(real))
  double augment_p = 0;                   // with which this step's images were augmented
  int64_t non_finite = 0;                 // gradient values that were sanitised
  // L2 norms of the main phases' gradients over all ranks, sanitised.
  double gradient_norm_g = 0, gradient_norm_d = 0;
  bool ran_path = false, ran_r1 = false;
};

// The training step of StyleGAN2 (Karras et al. 2020; schedule of StyleGAN2-ADA): g_main, every 4th
// step g_path, d_main, every 16th step d_r1, then the moving average of G. Which rank holds which
// samples does not change the result: each adds up its samples' losses, divided by the global
// batch, and gradients are summed over the ranks. Nor does it matter how many samples a rank works
// on at a time (batch_per_rank): it adds up gradients over its rounds.
class GanTrainer {
 public:
  // `average` starts with the generator's weights and buffers.
  GanTrainer(const GanConfig& config, Generator generator, Discriminator discriminator,
             Generator average, Communicator& world, GanDraws& draws, AugmentSource& augmentation,
             const ReducerOptions& reduction = {});

  // `reals` holds the samples local_samples() of the step's global batch. Collective.
  GanStepFigures step(int64_t step, const RealBatch& reals);

  // Global sample numbers (0..batch-1) of this rank: whole minibatch-stddev groups, round by round.
  const std::vector<int64_t>& local_samples() const { return samples_; }
  // For conditional training: the classes that generated images are drawn from, (rows, classes)
  // one-hot.
  void set_label_pool(torch::Tensor one_hot) { label_pool_ = std::move(one_hot); }

  // Everything that a step changes.
  std::vector<std::pair<std::string, torch::Tensor>> tensors();
  double& path_length_mean() { return path_length_mean_; }
  AdaController& ada() { return ada_; }
  // Of both learning rates; 1 at first.
  void scale_learning_rates(double factor) { rate_factor_ = factor; }

  GradientReducer& generator_reducer() { return g_reducer_; }
  GradientReducer& discriminator_reducer() { return d_reducer_; }

  FlatParameters& generator_parameters() { return g_; }
  FlatParameters& discriminator_parameters() { return d_; }

 private:
  using Samples = std::vector<int64_t>;
  struct Images {
    torch::Tensor images, ws, labels;
    torch::Tensor w;  // of the first latents, (n, w_dim), no gradient
  };
  Images generate(int64_t step, Phase phase, const Samples& samples, bool ws_gradient);
  void count_w(Phase phase, const Images& fake);
  // The part of this rank's real images that a round works on.
  RealBatch part_of(const RealBatch& reals, size_t round) const;
  std::vector<Samples> path_rounds(int64_t count) const;
  torch::Tensor lengths_of(int64_t step, const Samples& samples, bool first);
  double mean_path_length(int64_t step, const std::vector<Samples>& rounds, int64_t count,
                          torch::Tensor& lengths);
  void run_g_main(int64_t step);
  void run_g_path(int64_t step, GanStepFigures& figures);
  void run_d_main(int64_t step, const RealBatch& reals);
  void run_d_r1(int64_t step, const RealBatch& reals);
  // The phase's gradients over all ranks, made finite, and a step with them.
  void update(FlatParameters& parameters, GradientReducer& reducer, Adam& adam,
              double learning_rate);
  void note_norm(int64_t sum, const FlatParameters& parameters);
  void update_average(int64_t step);
  void finish(int64_t step, GanStepFigures& figures);

  GanConfig config_;
  Generator generator_, average_;
  Discriminator discriminator_;
  Communicator& world_;
  GanDraws& draws_;
  AugmentPipe augment_;
  AdaController ada_;
  FlatParameters g_, d_, ema_;
  GradientReducer g_reducer_, d_reducer_;
  Adam g_adam_, d_adam_;
  double g_rate_, d_rate_, rate_factor_ = 1;
  double path_length_mean_ = 0;
  torch::Tensor label_pool_;
  std::vector<Samples> rounds_;
  Samples samples_;  // of all rounds
  // Sums over this rank's samples, reduced once at the end of the step: figures, then the sum of w
  // of each generating phase.
  torch::Tensor sums_;
  std::vector<int64_t> w_counts_;
  int64_t non_finite_ = 0;
};

}  // namespace stylescope
