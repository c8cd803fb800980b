#pragma once

#include "stages/networks/resnet.hpp"

#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// f as it is used: weights with everything that scoring needs, in one safetensors file (metadata
// holds the rest).
struct Classifier {
  ResNet network{nullptr};
  std::vector<std::string> class_names;
  std::vector<int64_t> positive;     // classes whose probabilities add up to the score
  std::vector<double> mean, stddev;  // per channel, of x/255
  int64_t resolution = 0;

  // uint8 (N, C, H, W) -> the normalised network input, on the network's device and in its dtype.
  // Not differentiable: GradCAM differentiates from the features on.
  torch::Tensor prepare(const torch::Tensor& images) const;
  // uint8 images -> class probabilities (N, K), float64 CPU; evaluation mode, in batches, no
  // gradient. The network's own mode is restored. Throws Error when the images have another size or
  // channel count than the network's.
  torch::Tensor probabilities(const torch::Tensor& images, int64_t batch = 64);
  // The score f(x) = sum of the positive classes' probabilities, (N) float64 CPU.
  torch::Tensor scores(const torch::Tensor& images, int64_t batch = 64);
  // Probabilities (N, K) -> scores (N).
  torch::Tensor pool(const torch::Tensor& probabilities) const;
};

void save_classifier(const std::string& file, Classifier& classifier);
// On `device`, in `dtype`, in evaluation mode. Throws Error when the file is no classifier.
Classifier load_classifier(const std::string& file, torch::Device device, torch::Dtype dtype);

}  // namespace stylescope
