#pragma once

#include "stages/networks/generator.hpp"
#include "stages/networks/layers.hpp"

#include <vector>

#include <torch/torch.h>

// The synthesis network's parts (Karras et al. 2020, "Analyzing and Improving the Image Quality of
// StyleGAN", figure 2 and appendix B). Who only wants images uses generator.hpp.
namespace stylescope {

// Hands every layer its noise, in order: its own constant, nothing, or its part of the given
// numbers.
class NoiseFeed {
 public:
  explicit NoiseFeed(const Noise& noise) : noise_(noise) {}
  // (r, r), undefined, or (N, 1, r, r).
  torch::Tensor next(const torch::Tensor& constant);

 private:
  const Noise& noise_;
  int64_t position_ = 0;
};

// 3x3 modulated convolution, noise, bias, leaky ReLU: (N, in, r/up, r/up) -> (N, out, r, r), in x's
// dtype.
class SynthesisLayerImpl : public torch::nn::Module {
 public:
  SynthesisLayerImpl(int64_t in, int64_t out, const GeneratorOptions& options, int64_t resolution,
                     int64_t up);
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& w, NoiseFeed& noise);

  torch::Tensor weight, noise_strength, bias, resample_filter, noise_const;

 private:
  int64_t up_;
  double clamp_;
  Operations operations_;
  FullyConnected affine_{nullptr};
};
TORCH_MODULE(SynthesisLayer);

// 1x1 modulated convolution without demodulation: (N, in, r, r) -> (N, image_channels, r, r), in
// the weights' dtype.
class ToRgbImpl : public torch::nn::Module {
 public:
  ToRgbImpl(int64_t in, const GeneratorOptions& options);
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& w);

  torch::Tensor weight, bias;

 private:
  torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& styles) const;

  double style_gain_, clamp_;
  Operations operations_;
  FullyConnected affine_{nullptr};
};
TORCH_MODULE(ToRgb);

// The layers of one resolution, and the image so far.
class SynthesisBlockImpl : public torch::nn::Module {
 public:
  SynthesisBlockImpl(const GeneratorOptions& options, int64_t resolution);
  // Takes features x and the image of half the resolution (both undefined at 4), makes those of its
  // own. `ws`: the num_ws latents, each (N, w_dim).
  void forward(torch::Tensor& x, torch::Tensor& image, const std::vector<torch::Tensor>& ws,
               NoiseFeed& noise);

  torch::Tensor constant, resample_filter;

 private:
  Numerics numerics_;
  int64_t resolution_, highest_;
  size_t first_w_;  // torgb shares its latent with the next block's first layer
  SynthesisLayer conv0_{nullptr}, conv1_{nullptr};
  ToRgb torgb_{nullptr};
};
TORCH_MODULE(SynthesisBlock);

class SynthesisNetworkImpl : public torch::nn::Module {
 public:
  explicit SynthesisNetworkImpl(const GeneratorOptions& options);
  // ws (N, num_ws, w_dim) -> (N, image_channels, resolution, resolution).
  torch::Tensor forward(const torch::Tensor& ws, const Noise& noise);

 private:
  std::vector<SynthesisBlock> blocks_;
};
TORCH_MODULE(SynthesisNetwork);

}  // namespace stylescope
