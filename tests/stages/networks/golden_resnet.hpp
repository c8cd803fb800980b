#pragma once

#include "stages/networks/resnet.hpp"
#include "stages/networks/resnet_io.hpp"
#include "tests/support/golden.hpp"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

// The ResNet50 of the golden set "resnet50": its weights by rule (tests/golden/README.md).
namespace stylescope::golden {

inline constexpr int64_t kResNetSeed = 7;

inline torch::Tensor resnet_weight(const std::string& key, const torch::Tensor& like) {
  const double g = key.find("bn3") != std::string::npos ? 0.3 : 1;
  const auto drawn = [&](double mean, double std) {
    return values("r50." + key, kResNetSeed, like.sizes(), mean, std);
  };
  if (key.ends_with("num_batches_tracked")) return torch::zeros({}, torch::kLong);
  if (key.ends_with("running_mean")) return drawn(0, 0.1);
  if (key.ends_with("running_var")) return drawn(1, 0.15);
  if (key == "fc.weight") return drawn(0, std::sqrt(1.0 / 2048));
  if (key.ends_with("bias")) return drawn(0, 0.1);
  if (like.dim() == 4) {
    return drawn(0, std::sqrt(2.0 / static_cast<double>(like.numel() / like.size(0))));
  }
  return drawn(g, 0.1 * g);
}

// Drawn once a process: 25 million numbers take a second or two.
inline const std::vector<torch::Tensor>& resnet_weights() {
  static const auto drawn = [] {
    ResNet network(ResNetOptions{});
    std::vector<torch::Tensor> all;
    for (const auto& [key, tensor] : state_dict(network)) all.push_back(resnet_weight(key, tensor));
    return all;
  }();
  return drawn;
}

inline void fill_resnet50(ResNet& network) {
  torch::NoGradGuard no_grad;
  auto state = state_dict(network);
  for (size_t i = 0; i < state.size(); ++i) state[i].second.copy_(resnet_weights().at(i));
}

}  // namespace stylescope::golden
