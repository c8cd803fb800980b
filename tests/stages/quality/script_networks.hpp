#pragma once

#include <filesystem>
#include <string>

#include <torch/script.h>

namespace stylescope::testing_support {

// A TorchScript file of a network with this forward().
inline std::string save_script(const std::filesystem::path& file, const std::string& forward) {
  torch::jit::Module module("network");
  module.define(forward);
  module.save(file.string());
  return file.string();
}

// Means of the channels' quarters: (N, 12) of (N, 3, H, W).
inline const char* const kQuarters = R"(
def forward(self, x):
    return torch.adaptive_avg_pool2d(x.double(), [2, 2]).flatten(1)
)";

// As the published Inception: class probabilities unless features are asked for, of which it has
// 2048.
inline const char* const kInception = R"(
def forward(self, img, return_features: bool = False):
    if return_features:
        return torch.adaptive_avg_pool2d(img.double(), [2, 2]).flatten(1).repeat([1, 171])[:, :2048]
    return torch.zeros([img.size(0), 1008])
)";

}  // namespace stylescope::testing_support
