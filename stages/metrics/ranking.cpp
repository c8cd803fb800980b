#include "stages/metrics/ranking.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "stages/metrics/ranked_labels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

namespace stylescope {
namespace {

// Samples in rising order of score; `weight` counts each sample so many times. The area is
// undefined (NaN) when one class has no weight.
double weighted_auc(const RankedLabels& data, const std::vector<double>& weight) {
  double negatives_below = 0, positives = 0, area = 0;
  for (size_t begin = 0, end = 0; begin < data.order.size(); begin = end) {
    double tied_positives = 0, tied_negatives = 0;
    const double score = data.scores[data.order[begin]];
    for (; end < data.order.size() && data.scores[data.order[end]] == score; ++end) {
      const size_t i = data.order[end];
      (data.labels[i] == 1 ? tied_positives : tied_negatives) += weight[i];
    }
    area += tied_positives * (negatives_below + 0.5 * tied_negatives);
    negatives_below += tied_negatives;
    positives += tied_positives;
  }
  return area / (positives * negatives_below);
}

// Each sample's subject as a number 0..subjects-1, in order of first appearance.
std::vector<size_t> numbered(const std::vector<std::string>& subjects, size_t& count) {
  std::unordered_map<std::string, size_t> numbers;
  std::vector<size_t> owner;
  for (const auto& subject : subjects)
    owner.push_back(numbers.emplace(subject, numbers.size()).first->second);
  count = numbers.size();
  return owner;
}

// The area under one resample of whole subjects.
double resampled_auc(const RankedLabels& data, const std::vector<size_t>& owner, size_t subjects,
                     int64_t draw, uint64_t seed) {
  constexpr int64_t kAttempts = 100000;
  std::vector<double> times(subjects), weight(owner.size());
  for (int64_t attempt = 0; attempt < kAttempts; ++attempt) {
    auto generator = keyed_generator({seed, "metrics.bootstrap", draw}, attempt);
    const auto n = static_cast<int64_t>(subjects);
    const auto picks = torch::randint(n, {n}, generator, torch::dtype(torch::kLong));
    std::ranges::fill(times, 0.0);
    for (int64_t i = 0; i < n; ++i) ++times[static_cast<size_t>(picks.data_ptr<int64_t>()[i])];
    for (size_t i = 0; i < owner.size(); ++i) weight[i] = times[owner[i]];
    const double area = weighted_auc(data, weight);
    if (std::isfinite(area)) return area;
  }
  throw Error(detail::concatenate(
      "bootstrap: ", kAttempts, " draws of ", subjects,
      " subjects held one class only (too few subjects of the other); use more images"));
}

// Of sorted values, linear between order statistics.
double percentile(const std::vector<double>& sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

}  // namespace

double auc(const torch::Tensor& labels, const torch::Tensor& scores) {
  const RankedLabels data(labels, scores, true);
  return weighted_auc(data, std::vector<double>(data.labels.size(), 1.0));
}

Interval bootstrap_auc(const torch::Tensor& labels, const torch::Tensor& scores,
                       const std::vector<std::string>& subjects, int64_t draws, uint64_t seed) {
  const RankedLabels data(labels, scores, true);
  SS_CHECK(subjects.size() == data.labels.size(), subjects.size(), " subjects of ", data.size(),
           " samples");
  SS_CHECK(draws > 0);
  size_t count = 0;
  const auto owner = numbered(subjects, count);
  std::vector<double> areas;
  for (int64_t draw = 0; draw < draws; ++draw)
    areas.push_back(resampled_auc(data, owner, count, draw, seed));
  std::ranges::sort(areas);
  return {auc(labels, scores), percentile(areas, 0.025), percentile(areas, 0.975)};
}

double accuracy(const torch::Tensor& labels, const torch::Tensor& scores, double threshold) {
  const RankedLabels data(labels, scores, false);
  validate(data.size() > 0, "accuracy: there are no labels");
  int64_t right = 0;
  for (size_t i = 0; i < data.labels.size(); ++i)
    right += (data.scores[i] >= threshold) == (data.labels[i] == 1);
  return static_cast<double>(right) / static_cast<double>(data.size());
}

std::vector<RocPoint> roc_curve(const torch::Tensor& labels, const torch::Tensor& scores) {
  const RankedLabels data(labels, scores, true);
  std::vector<RocPoint> points{{0, 0, std::numeric_limits<double>::infinity()}};
  int64_t true_positives = 0, false_positives = 0;
  for (auto at = data.order.rbegin(); at != data.order.rend(); ++at) {
    ++(data.labels[*at] == 1 ? true_positives : false_positives);
    const double score = data.scores[*at];
    if (at + 1 != data.order.rend() && data.scores[*(at + 1)] == score) continue;
    points.push_back({static_cast<double>(false_positives) / static_cast<double>(data.negatives),
                      static_cast<double>(true_positives) / static_cast<double>(data.positives),
                      score});
  }
  return points;
}

}  // namespace stylescope
