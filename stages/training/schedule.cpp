#include "stages/training/schedule.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace stylescope {
namespace {

constexpr double kOneCycleRise = 0.3;
constexpr double kOneCycleStart = 1.0 / 25;
constexpr double kOneCycleEnd = kOneCycleStart / 1e4;

// Half a cosine from `from` (t = 0) to `to` (t = 1).
double half_cosine(double from, double to, double t) {
  return to + (from - to) * 0.5 * (1 + std::cos(std::numbers::pi * std::clamp(t, 0.0, 1.0)));
}

double one_cycle(double step, double total, double rise) {
  const double summit = std::max(rise * total - 1, 0.0);
  if (step <= summit) return summit > 0 ? half_cosine(kOneCycleStart, 1, step / summit) : 1;
  return half_cosine(1, kOneCycleEnd, (step - summit) / (total - 1 - summit));
}

}  // namespace

double Schedule::learning_rate(int64_t step) const {
  SS_CHECK(step >= 0 && step < total_steps, "step ", step, " of ", total_steps);
  const auto s = static_cast<double>(step), total = static_cast<double>(total_steps);
  if (kind == "one_cycle") return peak * one_cycle(s, total, warmup > 0 ? warmup : kOneCycleRise);
  const double rising = std::floor(warmup * total);
  if (s < rising) return peak * (s + 1) / (rising + 1);
  if (kind == "constant") return peak;
  SS_CHECK(kind == "cosine", kind);
  return half_cosine(peak, 0, (s - rising) / (total - rising));
}

}  // namespace stylescope
