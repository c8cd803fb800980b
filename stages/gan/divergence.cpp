#include "stages/gan/divergence.hpp"

#include "io/base/error.hpp"
#include "stages/gan/gan_trainer.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

// Steps before norms are compared with their mean, and how fast that mean forgets.
constexpr int64_t kWarmUp = 50;
constexpr double kForget = 0.02;
// A gradient that vanishes is no divergence, and has no logarithm.
constexpr double kSmallestNorm = 1e-12;

double log_norm(double norm) { return std::log(std::max(norm, kSmallestNorm)); }

}  // namespace

void SentinelConfig::describe(Fields& f) {
  f.field("on", on, "watch for divergence, and step back to the last good checkpoint");
  f.field("patience", patience, {1, 1000000}, "suspect steps on end that are a divergence");
  f.field(
      "anchor_kimg", anchor_kimg, {0, 1e9},
      "a checkpoint to step back to so often, in thousands of images (0: 20 in all, but every 4 "
      "to 200 kimg)");
  f.field("logit_gap", logit_gap, {0, 1e9},
          "suspect: D's mean answers to real and generated images lie further apart (0: not "
          "watched)");
  f.field("gradient_growth", gradient_growth, {0, 1e30},
          "suspect: a gradient's norm is so many times its running mean (0: not watched)");
  f.field("retries", retries, {0, 1000}, "how often it steps back; then the stage fails");
  f.field("learning_rate_factor", learning_rate_factor, {1e-6, 1},
          "of the learning rate, each time that it steps back");
}

std::string DivergenceSentinel::suspicion(const GanStepFigures& f) const {
  for (const auto& [name, value] : {std::pair{"G's loss", f.loss_g},
                                    {"D's loss", f.loss_d},
                                    {"the norm of G's gradient", f.gradient_norm_g},
                                    {"the norm of D's gradient", f.gradient_norm_d}})
    if (!std::isfinite(value)) return detail::concatenate(name, " is not finite");
  if (f.non_finite > 0)
    return detail::concatenate(f.non_finite, " values of the gradients were not finite");
  const double gap = std::abs(f.logit_real - f.logit_fake);
  if (config_.logit_gap > 0 && gap > config_.logit_gap)
    return detail::concatenate("D's mean logits of real and generated images are ", gap,
                               " apart (gan.sentinel.logit_gap: ", config_.logit_gap, ")");
  if (config_.gradient_growth == 0 || state_.observed < kWarmUp) return "";
  const double limit = std::log(config_.gradient_growth);
  for (const auto& [name, norm, mean] : {std::tuple{"G", f.gradient_norm_g, state_.log_norm_g},
                                         {"D", f.gradient_norm_d, state_.log_norm_d}})
    if (log_norm(norm) > mean + limit)
      return detail::concatenate("the norm of ", name, "'s gradient is ", norm, ", usually ",
                                 std::exp(mean),
                                 " (gan.sentinel.gradient_growth: ", config_.gradient_growth, ")");
  return "";
}

// Only from steps that are not suspect: a divergence must not become the rule.
void DivergenceSentinel::learn(const GanStepFigures& f) {
  const double weight =
      std::max(kForget, 1 / static_cast<double>(state_.observed + 1));  // a plain mean at first
  state_.log_norm_g += weight * (log_norm(f.gradient_norm_g) - state_.log_norm_g);
  state_.log_norm_d += weight * (log_norm(f.gradient_norm_d) - state_.log_norm_d);
  ++state_.observed;
}

std::optional<std::string> DivergenceSentinel::check(int64_t step, const GanStepFigures& figures) {
  if (!config_.on) return std::nullopt;
  const auto reason = suspicion(figures);
  if (reason.empty()) {
    state_.suspect = 0;
    state_.since = -1;
    learn(figures);
    return std::nullopt;
  }
  if (state_.suspect++ == 0) state_.since = step;
  if (state_.suspect < config_.patience) return std::nullopt;
  return detail::concatenate(reason, "; the ", state_.suspect,
                             "th suspect step on end, since step ", state_.since);
}

}  // namespace stylescope
