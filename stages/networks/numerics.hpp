#pragma once

#include <cstdint>
#include <optional>

#include <torch/types.h>

// How the networks compute. Neither weights nor their names depend on it.
namespace stylescope {

// fast: ours. reference: the same functions in plain LibTorch operations, an operation at a time in
// NCHW, zeros inserted and images padded where the formulas say so, a weight for each sample in the
// modulated convolution (used as such, in one grouped convolution, outside of training): what tests
// and benchmarks compare with.
enum class Operations { fast, reference };

// What StyleGAN2-ADA clamps activations to where features are of a half type.
constexpr double kHalfClamp = 256;

struct Numerics {
  Operations operations = Operations::fast;
  // Type of the features at the `half_resolutions` highest resolutions from 8 on (StyleGAN2-ADA:
  // num_fp16_res 4); unset: that of the weights everywhere. Weights, latents, styles, demodulation,
  // the images and the discriminator's last block keep the weights' own type.
  std::optional<torch::Dtype> half = {};
  int64_t half_resolutions = 4;

  bool reference() const { return operations == Operations::reference; }
  // Type of the features at `resolution` in a network whose highest is `highest`. `full`: of the
  // weights.
  torch::Dtype features(int64_t resolution, int64_t highest, torch::Dtype full) const {
    const bool high = half_resolutions > 0 && resolution >= 8 &&
                      (resolution << (half_resolutions - 1)) >= highest;
    return half && high ? *half : full;
  }
};

}  // namespace stylescope
