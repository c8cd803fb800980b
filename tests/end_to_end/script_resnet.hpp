#pragma once

#include "stages/networks/classifier.hpp"
#include "stages/networks/resnet_io.hpp"

#include <algorithm>
#include <filesystem>
#include <string>

#include <torch/script.h>

namespace stylescope::end_to_end {

// Our ResNet with the small stem and blocks of two convolutions, written down in TorchScript:
// normalised images to logits.
inline void save_as_script(Classifier& f, const std::filesystem::path& file) {
  torch::jit::Module module("resnet");
  std::string code = "def forward(self, x):\n";
  const auto state = state_dict(f.network);
  const auto known = [&](const std::string& name) {
    return std::ranges::any_of(state, [&](const auto& item) { return item.first == name; });
  };
  const auto member = [](std::string name) {
    std::ranges::replace(name, '.', '_');
    return "self." + name;
  };
  for (const auto& [name, tensor] : state)
    module.register_buffer(member(name).substr(5), tensor.detach().clone());
  const auto convolution = [&](const std::string& to, const std::string& from,
                               const std::string& name, int stride, int padding) {
    const auto both = [](int n) {
      return "[" + std::to_string(n) + ", " + std::to_string(n) + "]";
    };
    code += "    " + to + " = torch.conv2d(" + from + ", " + member(name + ".weight") + ", None, " +
            both(stride) + ", " + both(padding) + ")\n";
  };
  const auto norm = [&](const std::string& x, const std::string& name) {
    code += "    " + x + " = torch.batch_norm(" + x + ", " + member(name + ".weight") + ", " +
            member(name + ".bias") + ", " + member(name + ".running_mean") + ", " +
            member(name + ".running_var") + ", False, 0.1, 1e-05, False)\n";
  };
  convolution("x", "x", "conv1", 1, 1);
  norm("x", "bn1");
  code += "    x = torch.relu(x)\n";
  for (int layer = 1; layer <= 4; ++layer)
    for (int block = 0; block < 2; ++block) {
      const auto name = "layer" + std::to_string(layer) + "." + std::to_string(block) + ".";
      const int stride = layer > 1 && block == 0 ? 2 : 1;
      convolution("y", "x", name + "conv1", stride, 1);
      norm("y", name + "bn1");
      code += "    y = torch.relu(y)\n";
      convolution("y", "y", name + "conv2", 1, 1);
      norm("y", name + "bn2");
      if (known(name + "downsample.0.weight")) {
        convolution("x", "x", name + "downsample.0", stride, 0);
        norm("x", name + "downsample.1");
      }
      code += "    x = torch.relu(y + x)\n";
    }
  code += "    return torch.matmul(x.mean([2, 3]), self.fc_weight.t()) + self.fc_bias\n";
  module.define(code);
  module.save(file.string());
}

}  // namespace stylescope::end_to_end
