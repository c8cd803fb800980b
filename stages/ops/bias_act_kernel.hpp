#pragma once

#include <torch/types.h>

// The fused CPU passes behind bias_act: leaky ReLU (slope 1: linear). float32 and float64, no
// autograd.
namespace stylescope::detail {

struct BiasActArguments {
  double slope = 1;
  double gain = 1;
  double clamp = 0;  // <= 0: none

  // Whether the derivative varies with the output.
  bool masked() const { return slope != 1 || clamp > 0; }
};

// x: [N,C,...] dense, contiguous or channels_last. bias: [C] contiguous or undefined.
torch::Tensor bias_act_cpu(const torch::Tensor& x, const torch::Tensor& bias,
                           const BiasActArguments& arguments);

// gradient * dy/dx, from the output y alone (undefined where not masked()): gain > 0 keeps the
// sign, and where the clamp bites |y| = clamp.
torch::Tensor bias_act_gradient_cpu(const torch::Tensor& gradient, const torch::Tensor& y,
                                    const BiasActArguments& arguments);

}  // namespace stylescope::detail
