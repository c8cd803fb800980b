#include "io/base/error.hpp"
#include "stages/metrics/ranked_labels.hpp"
#include "stages/metrics/ranking.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace stylescope {
namespace {

constexpr double kZ95 = 1.959963984540054;  // the standard normal's 97.5 % point

// Structural components: V10 of each positive is the share of negatives below it, V01 of each
// negative the share of positives above it; the area is the mean of either.
struct Components {
  double auc = 0;
  std::vector<double> positive, negative;
};

Components components(const torch::Tensor& labels, const torch::Tensor& scores) {
  const RankedLabels data(labels, scores, true);
  validate(data.positives > 1 && data.negatives > 1, "DeLong: ", data.positives, " positive and ",
           data.negatives,
           " negative labels (two of each are needed for a variance); use more images");
  std::vector<double> classes[2];
  for (size_t i = 0; i < data.labels.size(); ++i) classes[data.labels[i]].push_back(data.scores[i]);
  const auto all = mid_ranks(data.scores);
  const auto among_negatives = mid_ranks(classes[0]);
  const auto among_positives = mid_ranks(classes[1]);
  const auto positives = static_cast<double>(data.positives);
  const auto negatives = static_cast<double>(data.negatives);
  Components result;
  for (size_t i = 0; i < data.labels.size(); ++i) {
    if (data.labels[i] == 1) {
      result.positive.push_back((all[i] - among_positives[result.positive.size()]) / negatives);
      result.auc += result.positive.back() / positives;
    } else {
      result.negative.push_back(1 - (all[i] - among_negatives[result.negative.size()]) / positives);
    }
  }
  return result;
}

// Sample covariance (n - 1) of two rows of components around their areas, over n: its part of the
// areas' covariance.
double part(const std::vector<double>& a, double mean_a, const std::vector<double>& b,
            double mean_b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  const auto n = static_cast<double>(a.size());
  return sum / (n - 1) / n;
}

double covariance(const Components& a, const Components& b) {
  return part(a.positive, a.auc, b.positive, b.auc) + part(a.negative, a.auc, b.negative, b.auc);
}

Interval logit_interval(double area, double deviation) {
  if (area <= 0 || area >= 1) return {area, area, area};
  const double center = std::log(area / (1 - area));
  const double width = kZ95 * deviation / (area * (1 - area));
  const auto expit = [](double x) { return 1 / (1 + std::exp(-x)); };
  return {area, expit(center - width), expit(center + width)};
}

}  // namespace

DeLong delong(const torch::Tensor& labels, const torch::Tensor& scores) {
  const auto c = components(labels, scores);
  DeLong result{c.auc, covariance(c, c), {}, {}};
  const double deviation = std::sqrt(result.variance);
  result.normal = {c.auc, std::max(0.0, c.auc - kZ95 * deviation),
                   std::min(1.0, c.auc + kZ95 * deviation)};
  result.logit = logit_interval(c.auc, deviation);
  return result;
}

DeLongComparison delong_compare(const torch::Tensor& labels, const torch::Tensor& scores1,
                                const torch::Tensor& scores2) {
  const auto a = components(labels, scores1);
  const auto b = components(labels, scores2);
  DeLongComparison result{a.auc, b.auc, covariance(a, a), covariance(b, b), covariance(a, b), 0, 1};
  const double difference = a.auc - b.auc;
  const double variance = result.variance1 + result.variance2 - 2 * result.covariance;
  if (difference == 0) return result;
  result.z = variance > 0 ? difference / std::sqrt(variance)
                          : std::copysign(std::numeric_limits<double>::infinity(), difference);
  result.p_two_sided = std::erfc(std::abs(result.z) / std::sqrt(2.0));
  return result;
}

}  // namespace stylescope
