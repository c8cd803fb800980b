#pragma once

#include "stages/networks/layers.hpp"

#include <string>
#include <vector>

#include <torch/torch.h>

// StyleGAN2's discriminator, residual architecture or plain (Karras et al. 2020, appendix B), with
// minibatch standard deviation. Parameters and buffers carry StyleGAN2-ADA's names and order.
namespace stylescope {

struct DiscriminatorOptions {
  int64_t c_dim = 0;
  int64_t resolution = 64;  // power of two, 8..1024 (runs: 16..1024)
  int64_t image_channels = 3;
  int64_t channel_base = 16384;  // channels at resolution r: min(channel_base / r, channel_max)
  int64_t channel_max = 512;
  int64_t mapping_layers = 8;  // of the label's mapping network, when conditional
  int64_t mbstd_group =
      4;             // samples i, i + N/G, i + 2N/G, ... form a group; N must be a multiple of it
  double clamp = 0;  // conv_clamp; 0: none
  bool residual = true;  // false: blocks without a skip ("orig")
  Numerics numerics = {};
};

class MappingNetworkImpl;

// (N, in, r, r) -> (N, out, r/2, r/2): two convolutions and, if residual, a skip. The first block
// takes images.
class DiscriminatorBlockImpl : public torch::nn::Module {
 public:
  DiscriminatorBlockImpl(const DiscriminatorOptions& options, int64_t resolution);
  torch::Tensor forward(const torch::Tensor& input);

 private:
  Numerics numerics_;
  int64_t resolution_, highest_;
  Convolution fromrgb_{nullptr}, conv0_{nullptr}, conv1_{nullptr}, skip_{nullptr};
};
TORCH_MODULE(DiscriminatorBlock);

// (N, C, 4, 4) and the mapped label (N, C), or none -> logits (N, 1).
class DiscriminatorEpilogueImpl : public torch::nn::Module {
 public:
  explicit DiscriminatorEpilogueImpl(const DiscriminatorOptions& options);
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& label);

 private:
  int64_t group_;
  Operations operations_;
  Convolution conv_{nullptr};
  FullyConnected fc_{nullptr}, out_{nullptr};
};
TORCH_MODULE(DiscriminatorEpilogue);

class DiscriminatorImpl : public torch::nn::Module {
 public:
  // Throws Error when the options describe no network. Weights are zero until initialize() or
  // load_discriminator().
  explicit DiscriminatorImpl(const DiscriminatorOptions& options);
  // images (N, C, H, W) in [-1, 1], c (N, c_dim) when conditional -> logits (N, 1).
  torch::Tensor forward(const torch::Tensor& images, const torch::Tensor& c = {});
  const DiscriminatorOptions& options() const { return options_; }

 private:
  DiscriminatorOptions options_;
  std::vector<DiscriminatorBlock> blocks_;
  std::shared_ptr<MappingNetworkImpl> mapping_;
  DiscriminatorEpilogue epilogue_{nullptr};
};
TORCH_MODULE(Discriminator);

// Weights N(0,1) (N(0,1)*100 in the label's mapping network), biases 0: the same numbers on every
// rank.
void initialize(Discriminator& discriminator, uint64_t seed);

// As load_generator(). Names and shapes do not say the size of the minibatch-stddev groups or the
// clamp: they are in the metadata of our own files (mbstd_group, conv_clamp), and the defaults are
// taken for others.
Discriminator load_discriminator(const std::string& file, torch::Device device, torch::Dtype dtype);
void save_discriminator(const std::string& file, Discriminator& discriminator);

}  // namespace stylescope
