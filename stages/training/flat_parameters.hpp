#pragma once

#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

// All parameters of a module in one flat buffer, and all their gradients in another: one layout for
// gradient reduction, Adam, EMA and checkpoints. The module's tensors become views, so nothing is
// copied to step or to reduce.
namespace stylescope {

class FlatParameters {
 public:
  // Re-points the module's parameters (registration order) and, where it is trained, their
  // gradients into flat buffers. Call after the module is on its device and in its dtype; do not
  // move it afterwards.
  explicit FlatParameters(torch::nn::Module& module, bool trained = true);

  // In the order of registration; their tensors lie in the flat buffers one after another.
  const std::vector<torch::Tensor>& parameters() const { return parameters_; }
  const torch::Tensor& values() const { return values_; }
  const torch::Tensor& gradients() const { return gradients_; }
  void zero_gradients() { gradients_.zero_(); }
  int64_t size() const { return values_.numel(); }
  // Leaves through which gradients flow: off while another network's phase runs.
  void requires_grad(bool on);
  // The first `count` parameters never take gradients again. Their part of the flat buffer stays
  // zero, with which Adam leaves them as they are to the bit.
  void freeze(size_t count);

 private:
  std::vector<torch::Tensor> parameters_;
  torch::Tensor values_;
  torch::Tensor gradients_;
  size_t frozen_ = 0;
};

}  // namespace stylescope
