#include "stages/explain/target_search.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace stylescope {
namespace {

constexpr int kMostRounds = 60;

double logit(double p) {
  const double q = std::clamp(p, 1e-12, 1 - 1e-12);
  return std::log(q) - std::log1p(-q);
}

// An interval with f on both sides of the target; `g` is logit f - logit target, halved by the
// Illinois rule.
struct Bracket {
  double target = 0;
  double low = 0, high = 0;
  double f_low = 0, f_high = 0;
  double g_low = 0, g_high = 0;
  int kept = 0;  // which end survived the last round: -1 low, 1 high

  // A zero of the chord, kept off the ends so that the interval always shrinks.
  double candidate() const {
    const double chord = low - g_low * (high - low) / (g_high - g_low);
    const double margin = 0.02 * (high - low);
    return std::isfinite(chord) ? std::clamp(chord, low + margin, high - margin)
                                : 0.5 * (low + high);
  }
  void narrow(double at, double f) {
    const double g = logit(f) - logit(target);
    if ((g > 0) == (g_low > 0)) {
      low = at, f_low = f, g_low = g;
      if (kept == 1) g_high /= 2;
      kept = 1;
    } else {
      high = at, f_high = f, g_high = g;
      if (kept == -1) g_low /= 2;
      kept = -1;
    }
  }
  TargetFound best() const {
    return std::abs(f_low - target) <= std::abs(f_high - target) ? TargetFound{low, f_low}
                                                                 : TargetFound{high, f_high};
  }
};

std::optional<Bracket> bracket_near_zero(const double* lambda, const double* f, int64_t steps,
                                         double target) {
  std::optional<Bracket> found;
  double found_distance = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i + 1 < steps; ++i) {
    if ((f[i] - target) * (f[i + 1] - target) > 0) continue;
    const bool holds_zero = lambda[i] <= 0 && lambda[i + 1] >= 0;
    const double distance = holds_zero ? 0 : std::min(std::abs(lambda[i]), std::abs(lambda[i + 1]));
    if (distance >= found_distance) continue;
    found_distance = distance;
    found = Bracket{target,
                    lambda[i],
                    lambda[i + 1],
                    f[i],
                    f[i + 1],
                    logit(f[i]) - logit(target),
                    logit(f[i + 1]) - logit(target)};
  }
  return found;
}

}  // namespace

std::vector<TargetFound> find_targets(
    const torch::Tensor& lambda, const torch::Tensor& f, const std::vector<double>& targets,
    const std::function<torch::Tensor(const torch::Tensor& lambda)>& f_at, double tolerance) {
  SS_CHECK(lambda.dim() == 1 && lambda.sizes() == f.sizes() && lambda.numel() >= 2);
  const auto grid = lambda.contiguous(), values = f.contiguous();
  const double step = (grid[-1] - grid[0]).item<double>() / static_cast<double>(grid.numel() - 1);
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  std::vector<std::optional<Bracket>> brackets;
  for (const double target : targets)
    brackets.push_back(bracket_near_zero(grid.data_ptr<double>(), values.data_ptr<double>(),
                                         grid.numel(), target));
  const auto open = [&](const std::optional<Bracket>& b) {
    return b && std::abs(b->best().probability - b->target) > tolerance &&
           b->high - b->low > 1e-6 * step;
  };
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<Bracket*> narrowed;
    std::vector<double> candidates;
    for (auto& bracket : brackets) {
      if (!open(bracket)) continue;
      narrowed.push_back(&*bracket);
      candidates.push_back(bracket->candidate());
    }
    if (narrowed.empty()) break;
    const auto reached = f_at(torch::tensor(candidates, torch::kFloat64));
    for (size_t i = 0; i < narrowed.size(); ++i)
      narrowed[i]->narrow(candidates[i], reached[static_cast<int64_t>(i)].item<double>());
  }
  std::vector<TargetFound> found;
  for (const auto& bracket : brackets)
    found.push_back(bracket ? bracket->best() : TargetFound{kNone, kNone});
  return found;
}

}  // namespace stylescope
