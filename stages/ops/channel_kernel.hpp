#pragma once

#include "stages/ops/bias_act_kernel.hpp"

#include <torch/types.h>

// Passes over images whose pixels lie channel by channel, with what varies by sample and channel:
// the scalings of a modulated convolution and all that follows it. On the CPU, stored as float32,
// float64 or bfloat16 (then scales, biases, noise and sums are float32); no autograd. Nothing
// depends on the number of threads.
namespace stylescope::detail {

// Whether x is such an image: [N,C,H,W] in channels_last on the CPU, of one of these types.
bool is_channel_image(const torch::Tensor& x);

// x * scale. x: [N,C,H,W], scale: [N,C].
torch::Tensor scale_channels_cpu(const torch::Tensor& x, const torch::Tensor& scale);

// clamp(gain * lrelu(x * scale + noise * strength + bias)). scale: [N,C]; noise: [H,W], [N,1,H,W]
// or undefined; strength: a number; bias: [C].
torch::Tensor scaled_act_cpu(const torch::Tensor& x, const torch::Tensor& scale,
                             const torch::Tensor& noise, const torch::Tensor& strength,
                             const torch::Tensor& bias, const BiasActArguments& arguments);

// What a pass back computes from g, the gradient of a result. With m = g * d act (or g):
struct ChannelGradients {
  torch::Tensor image;     // m * scale, like g
  torch::Tensor scale;     // [N,C]: sum over pixels of m * x
  torch::Tensor bias;      // [C]: sum over samples and pixels of m
  torch::Tensor strength;  // a number: sum of m * noise
};
struct ChannelGradientInputs {
  torch::Tensor gradient;
  torch::Tensor result = {};  // of the activation; undefined: there is none (m = g)
  torch::Tensor x = {};       // undefined: no gradient in scale
  torch::Tensor scale = {};   // undefined: one
  torch::Tensor noise = {};   // undefined: no gradient in strength
  bool image = true, bias = false;
  BiasActArguments arguments = {};
};
// Parts that are not asked for stay undefined.
ChannelGradients channel_gradients_cpu(const ChannelGradientInputs& inputs);

}  // namespace stylescope::detail
