#include "stages/metrics/agreement.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "stages/metrics/ranked_labels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace stylescope {
namespace {

void check(const torch::Tensor& a, const torch::Tensor& b) {
  validate(a.dim() == 1 && a.sizes() == b.sizes() && a.numel() > 0, "agreement of ", a.numel(),
           " and ", b.numel(), " values: they must come in pairs, and there must be one at least");
}

// Linear between order statistics.
double quantile(const std::vector<double>& sorted, double q) {
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

double pearson(const torch::Tensor& a, const torch::Tensor& b) {
  check(a, b);
  const auto x = a.to(torch::kFloat64), y = b.to(torch::kFloat64);
  const auto dx = x - x.mean(), dy = y - y.mean();
  const double scale =
      std::sqrt(dx.square().sum().item<double>() * dy.square().sum().item<double>());
  if (!(scale > 0)) return std::numeric_limits<double>::quiet_NaN();
  return std::clamp((dx * dy).sum().item<double>() / scale, -1.0, 1.0);
}

torch::Tensor ranks_of(const torch::Tensor& values) {
  const auto v = values.to(torch::kFloat64).contiguous();
  const auto* first = v.data_ptr<double>();
  return torch::tensor(mid_ranks(std::vector<double>(first, first + v.numel())), torch::kFloat64);
}

double spearman(const torch::Tensor& a, const torch::Tensor& b) {
  check(a, b);
  return pearson(ranks_of(a), ranks_of(b));
}

double cohen_kappa(const torch::Tensor& a, const torch::Tensor& b) {
  check(a, b);
  const double pa = a.to(torch::kFloat64).mean().item<double>();
  const double pb = b.to(torch::kFloat64).mean().item<double>();
  const double observed = a.eq(b).to(torch::kFloat64).mean().item<double>();
  const double by_chance = pa * pb + (1 - pa) * (1 - pb);
  return by_chance < 1 ? (observed - by_chance) / (1 - by_chance)
                       : std::numeric_limits<double>::quiet_NaN();
}

torch::Tensor logit_of(const torch::Tensor& probability) {
  const auto p = probability.to(torch::kFloat64).clamp(1e-12, 1 - 1e-12);
  return p.log() - (-p).log1p();
}

double brier_score(const torch::Tensor& labels, const torch::Tensor& probability) {
  check(labels, probability);
  return (labels.to(torch::kFloat64) - probability).square().mean().item<double>();
}

double expected_calibration_error(const torch::Tensor& labels, const torch::Tensor& probability,
                                  int64_t bins) {
  check(labels, probability);
  const auto p = probability.to(torch::kFloat64);
  const auto bin = (p * static_cast<double>(bins))
                       .floor()
                       .clamp(0, static_cast<double>(bins - 1))
                       .to(torch::kLong);
  const auto gap =
      torch::zeros({bins}, torch::kFloat64).index_add(0, bin, labels.to(torch::kFloat64) - p);
  return gap.abs().sum().item<double>() / static_cast<double>(p.numel());
}

Interval bootstrap_subjects(const std::vector<std::string>& subjects, int64_t draws, uint64_t seed,
                            const std::function<double(const std::vector<int64_t>&)>& statistic) {
  validate(!subjects.empty() && draws > 0, "bootstrap: no subjects or no draws");
  std::map<std::string, std::vector<int64_t>> rows_of;
  for (size_t i = 0; i < subjects.size(); ++i)
    rows_of[subjects[i]].push_back(static_cast<int64_t>(i));
  std::vector<const std::vector<int64_t>*> groups;
  for (const auto& [subject, rows] : rows_of) groups.push_back(&rows);

  std::vector<int64_t> all(subjects.size());
  std::iota(all.begin(), all.end(), 0);
  std::vector<double> values;
  for (int64_t draw = 0; draw < draws; ++draw) {
    const auto count = static_cast<int64_t>(groups.size());
    const auto chosen = torch::randint(
        count, {count}, keyed_generator({seed, "metrics.bootstrap_subjects", draw}), torch::kLong);
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < count; ++i) {
      const auto& group = *groups[static_cast<size_t>(chosen.data_ptr<int64_t>()[i])];
      rows.insert(rows.end(), group.begin(), group.end());
    }
    const double value = statistic(rows);
    if (std::isfinite(value)) values.push_back(value);
  }
  Interval interval{statistic(all), std::numeric_limits<double>::quiet_NaN(),
                    std::numeric_limits<double>::quiet_NaN()};
  if (values.empty()) return interval;
  std::sort(values.begin(), values.end());
  interval.low = quantile(values, 0.025);
  interval.high = quantile(values, 0.975);
  return interval;
}

}  // namespace stylescope
