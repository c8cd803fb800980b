#pragma once

#include "stages/quality/metrics_config.hpp"
#include "stages/run_context.hpp"

#include <memory>
#include <string>

#include <torch/torch.h>

namespace stylescope {

// What images are compared by. Figures are named after it, never after another network.
class FeatureNetwork {
 public:
  // name: "classifier-features", "inception", or the file's name.
  FeatureNetwork(std::string name, std::string file);
  virtual ~FeatureNetwork() = default;

  const std::string& name() const { return name_; }
  const std::string& file() const { return file_; }
  const std::string& sha256() const { return sha256_; }  // of the file
  bool is_inception() const { return name_ == "inception"; }

  // (n, C, H, W), 0 to 255: uint8, or floating point where steps below a grey level count -> (n,
  // d), on the CPU. Evaluation mode, no gradients, one batch. Throws Error, naming the file, for
  // images that do not fit and for features that are no finite numbers.
  torch::Tensor features(const torch::Tensor& pixels);
  // Squared perceptual distances of the images a[i] and b[i], floating point of 0 to 255, (n)
  // float64 on the CPU: here of features scaled to the length 1.
  virtual torch::Tensor squared_distances(const torch::Tensor& a, const torch::Tensor& b);
  // What that is.
  virtual std::string distance_name() const;

 protected:
  virtual torch::Tensor run(const torch::Tensor& pixels) = 0;
  void check(const torch::Tensor& features, const torch::Tensor& pixels);

 private:
  std::string name_, file_, sha256_;
  int64_t dimensions_ = 0;  // of what it gave before
};

// The one that the configuration asks for: of the classifier of the run (its penultimate layer: the
// last feature map, averaged over the image), or of a TorchScript file. Throws Error, naming the
// file, when it is missing or is something else.
std::unique_ptr<FeatureNetwork> make_feature_network(const MetricsConfig& config,
                                                     const RunContext& context);

}  // namespace stylescope
