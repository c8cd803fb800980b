#pragma once

#include "stages/ops/bias_act_kernel.hpp"

#include <torch/types.h>

namespace stylescope::detail {

// gradient * dy/dx of an activation from its result y (a constant), differentiable in the gradient.
torch::Tensor bias_act_gradient(const torch::Tensor& gradient, const torch::Tensor& y,
                                const BiasActArguments& arguments);

}  // namespace stylescope::detail
