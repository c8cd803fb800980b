#include "stages/augment/ada.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {

AdaController::AdaController(const AdaConfig& config, int64_t batch)
    : adapts_(config.mode == "ada"),
      target_(config.target),
      move_(static_cast<double>(batch * config.interval) / (config.kimg * 1000)),
      interval_(config.interval),
      p_(config.mode == "off" ? 0 : config.p) {
  SS_CHECK(!adapts_ || config.kimg > 0, config.kimg);
}

void AdaController::observe(double sum_of_signs, double count) {
  if (!std::isfinite(sum_of_signs)) return;
  sum_ += sum_of_signs;
  count_ += count;
}

bool AdaController::end_step(int64_t step) {
  if ((step + 1) % interval_ != 0 || count_ == 0) return false;
  rt_ = sum_ / count_;
  sum_ = count_ = 0;
  if (adapts_ && rt_ > target_) p_ += move_;
  if (adapts_ && rt_ < target_) p_ = std::max(p_ - move_, 0.0);
  return true;
}

}  // namespace stylescope
