#pragma once

#include <optional>

#include <torch/types.h>

// Bias, activation, gain and clamp in one pass (StyleGAN2-ADA).
namespace stylescope {

enum class Activation { linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus, swish };

// sqrt(2) for relu, lrelu and swish, 1 for the others.
double default_gain(Activation act);

// clamp(gain * act(x + bias), -clamp, clamp), in this order. x: [N,C,...], floating; bias: [C] or
// undefined. gain < 0: default_gain(act). clamp <= 0: none. alpha: slope of lrelu below zero (other
// activations ignore it). Memory format and dtype are those of x; the bias may be of a wider type.
// Differentiable in x and bias to any order; at the kink of lrelu the derivative is alpha, and
// where the clamp bites it is 0.
torch::Tensor bias_act(const torch::Tensor& x, const torch::Tensor& bias, Activation act,
                       double gain = -1, double clamp = -1, double alpha = 0.2);

// The same function an operation at a time: what runs where there is no fused pass, and the
// reference of tests and benchmarks.
torch::Tensor bias_act_plain(const torch::Tensor& x, const torch::Tensor& bias, Activation act,
                             double gain = -1, double clamp = -1, double alpha = 0.2);

}  // namespace stylescope
