#pragma once

#include "io/image_set.hpp"
#include "stages/latent/trained_networks.hpp"
#include "stages/run_context.hpp"

#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// What the networks say of every image of the test split. Tensors (N), CPU.
struct TestSplit {
  std::vector<int64_t> rows;  // of images.h5
  std::vector<std::string> subjects;
  torch::Tensor labels;  // int64, 1: the label is one of the classifier's positive classes
  torch::Tensor f;       // f(x), float64
  torch::Tensor surrogate_logits;  // of f~(E(x)), float64
  torch::Tensor f_reconstruction;  // f(G(E(x))), float64
  torch::Tensor absolute_error;    // mean |x - G(E(x))| over pixels and channels, 0..255, float64
  torch::Tensor squared_error;     // mean square of the same, float64
};

// The same on every rank. Throws Error when the split is empty or has one class only. Collective.
TestSplit measure_test_split(const ImageSet& images, const std::string& file,
                             TrainedNetworks& networks, int64_t batch, RunContext& context);

}  // namespace stylescope
