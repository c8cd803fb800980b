#pragma once

#include <cstdint>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// Labels and scores, checked and copied out of their tensors: what every function of ranking.hpp
// starts from.
struct RankedLabels {
  // Throws Error as ranking.hpp says; `both_classes` asks for at least one of each.
  RankedLabels(const torch::Tensor& labels, const torch::Tensor& scores, bool both_classes);

  int64_t size() const { return static_cast<int64_t>(labels.size()); }

  std::vector<int64_t> labels;
  std::vector<double> scores;
  std::vector<size_t> order;  // of rising scores; equal scores in their original order
  int64_t positives = 0;
  int64_t negatives = 0;
};

// Ranks 1..n of the values; equal values share the mean of their ranks.
std::vector<double> mid_ranks(const std::vector<double>& values);

}  // namespace stylescope
