#pragma once

#include "stages/ops/storage_type.hpp"

#include <limits>

#include <torch/types.h>

// The fused CPU passes behind bias_act: leaky ReLU (slope 1: linear). float32, float64 and bfloat16
// (computed in float32), no autograd.
namespace stylescope::detail {

struct BiasActArguments {
  double slope = 1;
  double gain = 1;
  double clamp = 0;  // <= 0: none

  // Whether the derivative varies with the output.
  bool masked() const { return slope != 1 || clamp > 0; }
};

// The clamp as the stored type has it: a clamped value must equal it when it is read again.
// Infinity where there is none.
template <class S>
ComputeType<S> clamp_limit(const BiasActArguments& a) {
  using T = ComputeType<S>;
  if (a.clamp <= 0) return std::numeric_limits<T>::infinity();
  return static_cast<T>(static_cast<S>(static_cast<T>(a.clamp)));
}

// x: [N,C,...] dense, contiguous or channels_last. bias: [C] contiguous, of any type, or undefined.
torch::Tensor bias_act_cpu(const torch::Tensor& x, const torch::Tensor& bias,
                           const BiasActArguments& arguments);

// gradient * dy/dx, from the output y alone (undefined where not masked()): gain > 0 keeps the
// sign, and where the clamp bites |y| = clamp.
torch::Tensor bias_act_gradient_cpu(const torch::Tensor& gradient, const torch::Tensor& y,
                                    const BiasActArguments& arguments);

}  // namespace stylescope::detail
