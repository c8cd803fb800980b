#pragma once

#include <torch/types.h>

namespace stylescope {

// Modulated convolution (Karras et al. 2019, section 2.2), in its unfused form: the input is scaled
// by the styles, one convolution with the shared weight, the output is scaled by the demodulation
// coefficient 1 / sqrt(sum over i,k of (weight*style)^2 + 1e-8). x: [N,I,H,W]; weight: [O,I,k,k], k
// odd; styles: [N,I]; noise: broadcastable to [N,1,H',W'] ([H',W'] is), already times its strength,
// or undefined. up 1: cross-correlation, padding k/2; up 2: true convolution (transposed, stride
// 2), then `filter` with padding (1,1) and gain 4 for its 4 taps, H' = 2H. Result [N,O,H',W'] in
// x's dtype; differentiable to any order in all but `filter`. On the CPU with more than a handful
// of channels the result is channels_last.
torch::Tensor modulated_conv2d(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& styles, const torch::Tensor& noise, int64_t up,
                               const torch::Tensor& filter, bool demodulate);

}  // namespace stylescope
