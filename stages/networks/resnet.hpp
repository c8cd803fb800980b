#pragma once

#include "stages/networks/batch_norm.hpp"

#include <functional>
#include <string>
#include <vector>

#include <torch/torch.h>

// ResNet 18, 34 and 50 (He et al. 2016; torchvision's "v1.5": the stride sits on the 3x3
// convolution), under torchvision's names. `stem: imagenet` is 7x7 stride 2 and max pooling;
// `small` is 3x3 stride 1 without pooling, for images of 16..64 px. Weights come and go by
// stages/networks/resnet_io.hpp.
namespace stylescope {

struct ResNetOptions {
  int64_t depth = 50;  // 18, 34, 50
  std::string stem = "imagenet";
  int64_t input_channels = 3;
  int64_t outputs = 1000;
  int64_t width = 64;  // channels of layer1 (64 in the paper; smaller for tests)
};

class ResNetImpl : public torch::nn::Module {
 public:
  // Throws Error for a depth or stem that is none of the above, or a size that is not positive.
  explicit ResNetImpl(const ResNetOptions& options);
  // x (N, input_channels, H, W), already normalised -> (N, outputs).
  torch::Tensor forward(const torch::Tensor& x);
  // The last feature map (layer4), (N, channels, H/32, W/32) (`small`: /8), and the head on it:
  // forward(x) == head(features(x)).
  torch::Tensor features(const torch::Tensor& x);
  torch::Tensor head(const torch::Tensor& features);
  // The parts of features(): before layer1, and layer 1..4.
  torch::Tensor stem(const torch::Tensor& x);
  torch::Tensor layer(int64_t index, const torch::Tensor& x);

  // In training, convolutions and what flows between layers are of this type from now on: float32
  // or bfloat16. Weights, their gradients, the statistics of batch normalisation and the head stay
  // float32, and evaluation is float32 throughout.
  void train_in(torch::ScalarType type) { training_type_ = type; }

  const ResNetOptions& options() const { return options_; }
  // Channels of the last feature map.
  int64_t feature_channels() const;
  // Every BatchNorm in it, in order.
  std::vector<BatchNorm> batch_norms();

 private:
  ResNetOptions options_;
  torch::ScalarType training_type_ = torch::kFloat32;
  torch::nn::Conv2d conv1_{nullptr};
  BatchNorm bn1_{nullptr};
  std::vector<torch::nn::Sequential> layers_;
  torch::nn::Linear fc_{nullptr};
};
TORCH_MODULE(ResNet);

// He-normal convolutions (fan out), BN weights 1 and biases 0, running statistics 0 and 1, the head
// uniform in
// +-1/sqrt(inputs); `zero_init_residual`: weight 0 in the last BN of each block (Goyal et al.
// 2017). The same numbers on all ranks, on every device, and (rounded) in every dtype.
void initialize(ResNet& network, uint64_t seed, bool zero_init_residual);

// Folds what the batch norms gathered since the last call into their running statistics. `reduce`
// adds one flat float64 tensor (all sums, then the group count) up over the ranks; for a world of
// one it does nothing. A rank that was dealt no group passes 0. The number of groups of all ranks
// must not be 0.
void update_running_statistics(ResNet& network, int64_t groups_seen_here,
                               const std::function<void(torch::Tensor&)>& reduce);

}  // namespace stylescope
