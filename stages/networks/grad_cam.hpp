#pragma once

#include "stages/networks/resnet.hpp"

#include <functional>
#include <vector>

#include <torch/torch.h>

// Gradient-weighted class activation maps (Selvaraju et al. 2017, equations 1 and 2) on the last
// feature map of a ResNet.
namespace stylescope {

// What is explained: logits (N, K) -> one number an image (N), differentiable.
using CamTarget = std::function<torch::Tensor(const torch::Tensor& logits)>;

// The logit of class classes[i] in image i; a single class holds for every image.
CamTarget class_target(std::vector<int64_t> classes);
// The log-odds log(s / (1 - s)) of the score s = sum of the positive classes' probabilities. Its
// gradient is that of s divided by s (1 - s), a positive number for each image: the scaled map is
// the score's own, and it does not vanish where the softmax saturates. `positive` is a proper
// subset of the classes, not empty.
CamTarget log_odds_target(std::vector<int64_t> positive);

struct GradCam {
  torch::Tensor logits;      // (N, K)
  torch::Tensor weights;     // (N, C): the target's gradient, averaged over positions
  torch::Tensor signed_map;  // (N, h, w): sum of weights * features
  torch::Tensor raw;         // (N, h, w): its positive part
  // (N, H, W) in [0, 1]: raw stretched to that range, bilinear to the image's size, and stretched
  // again (as pytorch_grad_cam shows it). What the colours mean is relative to each image.
  torch::Tensor map;
};

// x (N, C, H, W) normalised. In evaluation mode (the network's own mode is restored); leaves no
// gradient behind.
GradCam grad_cam(ResNet& network, const torch::Tensor& x, const CamTarget& target);

}  // namespace stylescope
