#pragma once

#include "io/explanation_set.hpp"
#include "stages/explain/explain_stage.hpp"
#include "stages/latent/trained_networks.hpp"

#include <torch/torch.h>

// The explanation of one image after another (Schutte et al. 2020, section 2). Every image is
// worked on by itself, so its explanation does not depend on which others are explained, or on how
// many ranks.
namespace stylescope {

class Explainer {
 public:
  Explainer(TrainedNetworks& networks, const ExplainConfig& config);

  // images (n, C, H, W) uint8 -> explanations without names, labels and indices. n may be 0.
  ExplanationSet explain(const torch::Tensor& images);

  // (L) float64, ascending, its middle 0: evenly spaced from -lambda_sd to lambda_sd standard
  // deviations of the projection of synthetic w's on alpha, in units of alpha.
  const torch::Tensor& lambda() const { return lambda_; }

 private:
  void fill(ExplanationSet& set, int64_t row, const torch::Tensor& image);
  torch::Tensor heat_map(const torch::Tensor& image);
  void find_targets(ExplanationSet& set, int64_t row);

  TrainedNetworks& networks_;
  std::vector<double> targets_;
  int64_t batch_, occlusion_;
  torch::Tensor lambda_;
};

}  // namespace stylescope
