#pragma once

#include "stages/networks/numerics.hpp"
#include "stages/ops/bias_act.hpp"

#include <string>

#include <torch/torch.h>

// The layers that StyleGAN2's generator and discriminator share, with the equalised learning rate
// of Karras et al. 2018
// ("Progressive Growing of GANs", section 4.1): parameters are stored with unit variance and scaled
// when used. Weights are zero until initialize() or a file fills them.
namespace stylescope {

// Channels at a resolution: min(channel_base / resolution, channel_max).
int64_t channels_at(int64_t resolution, int64_t channel_base, int64_t channel_max);
// "b64": what the layers of a resolution are registered under.
std::string block_name(int64_t resolution);
// Throws Error unless it is a power of two from 8 to 1024.
void validate_resolution(int64_t resolution);

// The memory format that convolutions are fastest in: channels_last on the CPU (twice as fast as
// NCHW), NCHW elsewhere.
torch::Tensor fastest_layout(const torch::Tensor& x);
// As `operations` want it: the fastest, or NCHW.
torch::Tensor layout_for(Operations operations, const torch::Tensor& x);

// y = act(x (W m/sqrt(in))^T + b m), m the learning rate multiplier. (N, in) -> (N, out).
class FullyConnectedImpl : public torch::nn::Module {
 public:
  FullyConnectedImpl(int64_t in, int64_t out, Activation activation = Activation::linear,
                     double learning_rate = 1, Operations operations = Operations::fast);
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight, bias;  // (out, in), (out)

 private:
  Activation activation_;
  double learning_rate_, weight_gain_;
  Operations operations_;
};
TORCH_MODULE(FullyConnected);

struct ConvolutionOptions {
  int64_t in = 0, out = 0, kernel = 3;
  bool bias = true;
  Activation activation = Activation::linear;
  int64_t down = 1;  // 2: filtered and every second pixel kept
  double clamp = 0;  // 0: none
  Operations operations = Operations::fast;
};

// y = clamp(act(x * W/sqrt(in k k) + b)). (N, in, H, W) -> (N, out, H/down, W/down), in x's dtype,
// which need not be that of the weights.
class ConvolutionImpl : public torch::nn::Module {
 public:
  explicit ConvolutionImpl(const ConvolutionOptions& options);
  // `gain` multiplies the activation's gain, and the clamp.
  torch::Tensor forward(const torch::Tensor& x, double gain = 1);

  torch::Tensor weight, bias, resample_filter;

 private:
  torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& scaled);

  ConvolutionOptions options_;
  double weight_gain_;
};
TORCH_MODULE(Convolution);

}  // namespace stylescope
