#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <torch/script.h>
#include <torch/torch.h>

// A network of ours as a TorchScript module: the same tree of modules with the same names, so that
// state_dict() gives in Python what our files hold, and for each kind of layer its function as
// TorchScript source.
namespace stylescope {

struct LayerScript {
  std::string class_name;  // as Python shows it
  std::string source;      // its functions; "": it only holds tensors, or other modules
  // What the functions use besides the layer's own tensors: numbers, texts, lists, tensors.
  std::vector<std::pair<std::string, c10::IValue>> values = {};
};

// `path`: the layer's dotted name; "" for the network itself.
using DescribeLayer =
    std::function<LayerScript(const torch::nn::Module& layer, const std::string& path)>;

// On the CPU, in the network's dtype, in evaluation mode; the tensors are copies without gradients.
torch::jit::Module script_of(const torch::nn::Module& network, const DescribeLayer& describe);

// Published by rename. torch.jit.load(file) reads it in Python, torch::jit::load in C++.
void save_script(const std::string& file, const torch::jit::Module& module);

}  // namespace stylescope
