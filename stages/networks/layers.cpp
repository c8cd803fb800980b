#include "stages/networks/layers.hpp"

#include "io/base/error.hpp"
#include "stages/ops/conv2d_resample.hpp"
#include "stages/ops/upfirdn2d.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace stylescope {

int64_t channels_at(int64_t resolution, int64_t channel_base, int64_t channel_max) {
  return std::min(channel_base / resolution, channel_max);
}

std::string block_name(int64_t resolution) {
  std::string name = "b";
  return name += std::to_string(resolution);
}

void validate_resolution(int64_t resolution) {
  const bool power = resolution > 0 && (resolution & (resolution - 1)) == 0;
  validate(power && resolution >= 8 && resolution <= 1024, "resolution ", resolution,
           ": no size for these networks (it must be a power of two from 8 to 1024)");
}

torch::Tensor fastest_layout(const torch::Tensor& x) {
  return x.is_cpu() ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
}

torch::Tensor layout_for(Operations operations, const torch::Tensor& x) {
  return operations == Operations::fast ? fastest_layout(x) : x.contiguous();
}

FullyConnectedImpl::FullyConnectedImpl(int64_t in, int64_t out, Activation activation,
                                       double learning_rate, Operations operations)
    : activation_(activation),
      learning_rate_(learning_rate),
      weight_gain_(learning_rate / std::sqrt(static_cast<double>(in))),
      operations_(operations) {
  weight = register_parameter("weight", torch::zeros({out, in}));
  bias = register_parameter("bias", torch::zeros({out}));
}

torch::Tensor FullyConnectedImpl::forward(const torch::Tensor& x) {
  if (operations_ == Operations::reference) {
    const auto w = weight * weight_gain_, b = bias * learning_rate_;
    if (activation_ == Activation::linear) return torch::addmm(b, x, w.t());
    return bias_act_plain(x.matmul(w.t()), b, activation_);
  }
  // The scale goes to the smaller factor: a minibatch has fewer rows than the weight.
  const auto scaled_bias = learning_rate_ == 1 ? bias : bias * learning_rate_;
  const auto y = torch::linear(x * weight_gain_, weight,
                               activation_ == Activation::linear ? scaled_bias : torch::Tensor());
  return activation_ == Activation::linear ? y : bias_act(y, scaled_bias, activation_);
}

ConvolutionImpl::ConvolutionImpl(const ConvolutionOptions& options) : options_(options) {
  const auto [in, out, k] = std::tuple(options.in, options.out, options.kernel);
  weight_gain_ = 1 / std::sqrt(static_cast<double>(in * k * k));
  weight = register_parameter("weight", torch::zeros({out, in, k, k}));
  if (options.bias) bias = register_parameter("bias", torch::zeros({out}));
  resample_filter = register_buffer("resample_filter", default_filter());
}

torch::Tensor ConvolutionImpl::convolve(const torch::Tensor& x, const torch::Tensor& scaled) {
  if (options_.operations == Operations::reference)
    return conv2d_resample_plain(x, scaled, resample_filter, 1, options_.down,
                                 Padding::all(options_.kernel / 2));
  // On the CPU a 1x1 convolution is a product of two matrices; that also keeps its output
  // channels_last where x has but one channel (a convolution would then answer in NCHW, and every
  // later layer copy).
  if (x.is_cpu() && options_.kernel == 1 && options_.down == 1)
    return torch::linear(x.permute({0, 2, 3, 1}), scaled.flatten(1)).permute({0, 3, 1, 2});
  return conv2d_resample(x, scaled, resample_filter, 1, options_.down,
                         Padding::all(options_.kernel / 2));
}

torch::Tensor ConvolutionImpl::forward(const torch::Tensor& x, double gain) {
  const bool plain =
      !options_.bias && options_.activation == Activation::linear && options_.clamp == 0;
  // Without bias and activation the gain commutes with the convolution, and weights are fewer than
  // pixels.
  const auto scaled = weight * (plain ? weight_gain_ * gain : weight_gain_);
  const auto y = convolve(x, scaled.to(x.scalar_type()));
  if (plain) return y;
  const auto biased = options_.operations == Operations::fast ? bias_act : bias_act_plain;
  return biased(y, bias, options_.activation, default_gain(options_.activation) * gain,
                options_.clamp > 0 ? options_.clamp * gain : -1, 0.2);
}

}  // namespace stylescope
