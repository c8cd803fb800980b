#include "stages/evaluate/strip_statistics.hpp"

namespace stylescope {
namespace {

// f is scored on 8-bit pictures: a fall by this much is no more than their rounding.
constexpr double kSmallestFall = 0.01;

double share(const torch::Tensor& which) { return which.to(torch::kFloat64).mean().item<double>(); }

}  // namespace

nlohmann::json strip_statistics(const ExplanationSet& set) {
  const auto& f = set.f_strip;
  const int64_t steps = f.size(1), middle = steps / 2;
  const auto falls = f.slice(1, 1) - f.slice(1, 0, steps - 1);
  const auto rising =
      falls.amin(1).ge(-kSmallestFall).logical_and(f.select(1, -1).gt(f.select(1, 0)));
  const auto starts_low = f.select(1, middle).lt(0.5);
  const auto reaches_high = f.slice(1, middle).amax(1).ge(0.5);
  const auto reaches_low = f.slice(1, 0, middle + 1).amin(1).lt(0.5);
  nlohmann::json figures{{"images", set.size()},
                         {"mean_lowest", f.select(1, 0).mean().item<double>()},
                         {"mean_highest", f.select(1, -1).mean().item<double>()},
                         {"rising", share(rising)},
                         {"ends_higher", share(f.select(1, -1).gt(f.select(1, 0)))},
                         {"crossing_up", nullptr},
                         {"crossing_down", nullptr}};
  const auto starts_high = starts_low.logical_not();
  if (starts_low.any().item<bool>())
    figures["crossing_up"] = share(reaches_high.masked_select(starts_low));
  if (starts_high.any().item<bool>())
    figures["crossing_down"] = share(reaches_low.masked_select(starts_high));
  return figures;
}

}  // namespace stylescope
