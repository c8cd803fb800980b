#pragma once

#include "stages/ops/bias_act.hpp"

#include <torch/types.h>

// What surrounds the convolution of a modulated one (Karras et al. 2020, section 2.2, scaled form),
// each in one pass forward and one back. x: [N,C,H,W] in any memory format (on the CPU
// channels_last is fast) and in float32, float64 or a half type; the rest may be in the weights'
// wider type. Differentiable to any order in all but the noise.
namespace stylescope {

// x * scale, scale: [N,C].
torch::Tensor scale_channels(const torch::Tensor& x, const torch::Tensor& scale);

// Per-pixel noise with its learned strength. image: [H,W] or [N,1,H,W], a constant; undefined:
// none.
struct PixelNoise {
  torch::Tensor image = {};
  torch::Tensor strength = {};  // a number
};

// clamp(sqrt(2) * lrelu(x * scale + noise * strength + bias)), slope 0.2. scale: [N,C], bias: [C];
// clamp <= 0: none.
torch::Tensor scaled_act(const torch::Tensor& x, const torch::Tensor& scale,
                         const PixelNoise& noise, const torch::Tensor& bias, double clamp);

}  // namespace stylescope
