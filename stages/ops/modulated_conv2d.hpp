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

// Its parts, for who goes on with the result in one pass (scaled_act): the convolution of the
// scaled input, not demodulated, and the coefficients [N,O].
torch::Tensor scaled_conv2d(const torch::Tensor& x, const torch::Tensor& weight,
                            const torch::Tensor& styles, int64_t up, const torch::Tensor& filter);
torch::Tensor demodulation(const torch::Tensor& weight, const torch::Tensor& styles);

// The same in plain LibTorch operations, in NCHW, with a weight for each sample. `grouped`: they
// are what is convolved with, in one convolution of N groups; else they only serve to demodulate,
// and inputs and outputs are scaled (StyleGAN2-ADA does the former outside of training, the latter
// in it).
torch::Tensor modulated_conv2d_plain(const torch::Tensor& x, const torch::Tensor& weight,
                                     const torch::Tensor& styles, const torch::Tensor& noise,
                                     int64_t up, const torch::Tensor& filter, bool demodulate,
                                     bool grouped);

}  // namespace stylescope
