#pragma once

#include "io/image_set.hpp"
#include "stages/networks/generator.hpp"
#include "stages/quality/metrics_config.hpp"
#include "stages/run_context.hpp"

#include <utility>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// The images that a generator is judged by: image i of a seed is the same in every call, batch and
// world. Conditional generators are asked for classes as often as the training images show them.
class GeneratedImages {
 public:
  // Throws Error when the generator makes images of another size, channels or classes than the
  // training images.
  GeneratedImages(Generator generator, const ImageSet& images, const MetricsConfig& config,
                  const RunContext& context);

  // (n, C, H, W) uint8, CPU.
  torch::Tensor pixels(const std::vector<int64_t>& samples);
  // Two images each, at w0 and at w0 + epsilon (w1 - w0), w0 and w1 of random latents, with the
  // same noise: (n, C, H, W) of 0 to 255, neither rounded nor clamped.
  std::pair<torch::Tensor, torch::Tensor> steps_in_w(const std::vector<int64_t>& samples,
                                                     double epsilon);

 private:
  // w (n, w_dim), truncated; `which` of the draws of a sample.
  torch::Tensor w(const std::vector<int64_t>& samples, const char* purpose, int64_t which);
  torch::Tensor synthesize(const torch::Tensor& w, const std::vector<int64_t>& samples,
                           const char* purpose);

  Generator generator_;
  double psi_;
  bool random_noise_;
  uint64_t seed_;
  torch::TensorOptions options_;
  std::vector<int64_t> labels_;  // of the training images; empty: unconditional
};

}  // namespace stylescope
