#pragma once

#include <torch/types.h>

// The passes behind winograd_conv3x3. float32, float64 and bfloat16 on the CPU, no autograd.
namespace stylescope::detail {

// x: [N,I,H,W], weight: [O,I,3,3], I and O multiples of 16 -> [N,O,H,W], channels_last: the
// cross-correlation with padding 1, times gain. `adjoint`: from [N,O,H,W] to [N,I,H,W], with the
// weight mirrored.
torch::Tensor winograd_forward_cpu(const torch::Tensor& x, const torch::Tensor& weight, double gain,
                                   bool adjoint);
// x: [N,I,H,W], gradient: [N,O,H,W] -> [O,I,3,3]: the gradient of the above in the weight.
torch::Tensor winograd_weight_gradient_cpu(const torch::Tensor& x, const torch::Tensor& gradient,
                                           double gain);

}  // namespace stylescope::detail
