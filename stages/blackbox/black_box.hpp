#pragma once

#include "stages/networks/classifier.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// The classifier f as the stages ask it, whatever is behind it: our ResNet, a TorchScript file, or
// a program. All of them see the same pictures: uint8, of the run's size.
class BlackBox {
 public:
  virtual ~BlackBox() = default;
  BlackBox(const BlackBox&) = delete;
  BlackBox& operator=(const BlackBox&) = delete;

  // Of the K classes that it tells apart.
  const std::vector<std::string>& class_names() const { return class_names_; }
  // The classes whose probabilities add up to the score.
  const std::vector<int64_t>& positive() const { return positive_; }
  // Of the images that it is given: squares of the run's size.
  int64_t channels() const { return channels_; }
  int64_t resolution() const { return resolution_; }

  // uint8 (N, C, H, W) of that size -> class probabilities (N, K), float64 CPU. Every image's
  // answer depends on the image (and, by rounding, on its batch) alone. Throws Error when the
  // images have another size, and when f fails or answers what it must not.
  virtual torch::Tensor probabilities(const torch::Tensor& images, int64_t batch = 64) = 0;
  // The score f(x) = sum of the positive classes' probabilities, (N) float64 CPU.
  torch::Tensor scores(const torch::Tensor& images, int64_t batch = 64);
  // Probabilities (N, K) -> scores (N).
  torch::Tensor pool(const torch::Tensor& probabilities) const;

  // Which labels of the images count as positive: those that are called as a positive class is.
  // Throws Error where that are none, or all.
  std::vector<int64_t> positive_labels(const std::vector<std::string>& label_names) const;
  std::vector<std::string> positive_names() const;

  // The network, where it is ours and can be looked into; else nullptr.
  virtual Classifier* network() { return nullptr; }
  // What it is, for people: "the TorchScript file knee.pt".
  virtual std::string about() const = 0;

 protected:
  BlackBox(std::vector<std::string> class_names, std::vector<int64_t> positive, int64_t channels,
           int64_t resolution);

 private:
  std::vector<std::string> class_names_;
  std::vector<int64_t> positive_;
  int64_t channels_, resolution_;
};

// Our ResNet.
std::unique_ptr<BlackBox> make_resnet_box(Classifier classifier);

}  // namespace stylescope
