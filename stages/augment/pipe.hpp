#pragma once

#include "stages/augment/draws.hpp"
#include "stages/augment/operations.hpp"
#include "stages/augment/plan.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include <torch/types.h>

namespace stylescope {

// The images changed as planned (Karras et al. 2020, "Training Generative Adversarial Networks with
// Limited Data", appendix B): resampled, then coloured, filtered, noised and cut. images:
// (plan.images.size(), C, H, W) of plan.shape, values about [-1, 1], floating, any device; the
// result has the same shape. noise: standard normal, of the images' shape, wanted where plan.noise
// is set. Differentiable in the images to any order. Images that no geometric change has met are
// resampled as well, as the others: what tells real from generated images must not be who was
// resampled.
torch::Tensor augment(const torch::Tensor& images, const AugmentPlan& plan,
                      const torch::Tensor& noise = {});

// The augmentation of a training: the operations, and where its random numbers come from.
//
//   AugmentPipe pipe(config.resolved(), source, batch);
//   logits = discriminator(pipe(images, p, step, "d_main.real", samples), labels);
class AugmentPipe {
 public:
  // `source` must outlive the pipe. batch: images a call, all ranks together.
  AugmentPipe(const AugmentOperations& operations, AugmentSource& source, int64_t batch)
      : operations_(operations), source_(&source), batch_(batch) {}

  // `images` are the global samples `samples` (each in 0..batch-1), a rank's share; may be none.
  // No collective: every rank draws for all samples. p and the images' shape belong to (step,
  // call).
  torch::Tensor operator()(const torch::Tensor& images, double p, int64_t step,
                           std::string_view call, at::ArrayRef<int64_t> samples);

 private:
  AugmentOperations operations_;
  AugmentSource* source_;
  int64_t batch_;
  int64_t planned_step_ = -1;  // of plan_
  double planned_p_ = 0;
  std::string planned_call_;
  AugmentPlan plan_;
};

}  // namespace stylescope
