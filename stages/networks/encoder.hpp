#pragma once

#include "stages/networks/resnet.hpp"

#include <string>

#include <torch/torch.h>

namespace stylescope {

// E as it is used: images in, w out. The network's outputs are standardised w: w = w_mean + w_scale
// * output.
struct Encoder {
  ResNet network{nullptr};
  torch::Tensor w_mean, w_scale;  // (w_dim)
  int64_t resolution = 0;

  // uint8 (N, C, H, W) -> the network input x/127.5 - 1 (the generator's range), on the network's
  // device, in its dtype.
  torch::Tensor prepare(const torch::Tensor& images) const;
  // uint8 (N, C, H, W) -> w (N, w_dim) on the network's device, in its dtype; evaluation mode, in
  // batches, no gradient. The network's own mode is restored. Throws Error when the images have
  // another size or channel count than the network's.
  torch::Tensor encode(const torch::Tensor& images, int64_t batch = 64);
};

void save_encoder(const std::string& file, Encoder& encoder);
// On `device`, in `dtype`, in evaluation mode. Throws Error when the file is no encoder.
Encoder load_encoder(const std::string& file, torch::Device device, torch::Dtype dtype);

}  // namespace stylescope
