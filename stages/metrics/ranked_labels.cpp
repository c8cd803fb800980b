#include "stages/metrics/ranked_labels.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace stylescope {
namespace {

std::vector<size_t> rising(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return values[a] < values[b]; });
  return order;
}

}  // namespace

RankedLabels::RankedLabels(const torch::Tensor& label_tensor, const torch::Tensor& score_tensor,
                           bool both_classes) {
  validate(label_tensor.dim() == 1 && score_tensor.dim() == 1 &&
               label_tensor.numel() == score_tensor.numel(),
           "ranking: labels of the shape ", label_tensor.sizes(),
           " do not belong to scores of the shape ", score_tensor.sizes());
  const auto l = label_tensor.to(torch::kCPU, torch::kLong).contiguous();
  const auto s = score_tensor.detach().to(torch::kCPU, torch::kDouble).contiguous();
  labels.assign(l.data_ptr<int64_t>(), l.data_ptr<int64_t>() + l.numel());
  scores.assign(s.data_ptr<double>(), s.data_ptr<double>() + s.numel());
  for (size_t i = 0; i < labels.size(); ++i) {
    validate(labels[i] == 0 || labels[i] == 1, "ranking: label ", i, " is ", labels[i],
             " (0 or 1 is expected)");
    validate(std::isfinite(scores[i]), "ranking: score ", i, " is ", scores[i],
             " (it has no place in an order); check the model that gave it");
    ++(labels[i] == 1 ? positives : negatives);
  }
  validate(!both_classes || (positives > 0 && negatives > 0), "ranking: ", positives,
           " positive and ", negatives, " negative labels (both are needed); use more images");
  order = rising(scores);
}

std::vector<double> mid_ranks(const std::vector<double>& values) {
  const auto order = rising(values);
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i)
      ranks[order[i]] = 0.5 * static_cast<double>(begin + end + 1);
  }
  return ranks;
}

}  // namespace stylescope
