#include "stages/gan/gan_recovery.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/metrics_log.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include <nlohmann/json.hpp>

namespace stylescope {

GanRecovery::GanRecovery(const SentinelConfig& config, double total_kimg, int64_t batch,
                         RunContext& context, TrainingLoop& loop, GanTrainer& trainer,
                         KeyedGanDraws& draws)
    : config_(config),
      context_(context),
      loop_(loop),
      trainer_(trainer),
      draws_(draws),
      sentinel_(config) {
  auto& state = sentinel_.state();
  loop_.add("sentinel.suspect", state.suspect);
  loop_.add("sentinel.since", state.since);
  loop_.add("sentinel.observed", state.observed);
  loop_.add("sentinel.log_norm_g", state.log_norm_g);
  loop_.add("sentinel.log_norm_d", state.log_norm_d);
  loop_.add("sentinel.step_backs", step_backs_);
  loop_.add("sentinel.furthest", furthest_);
  if (!config.on) return;
  const double kimg =
      config.anchor_kimg > 0 ? config.anchor_kimg : std::clamp(total_kimg / 20, 4.0, 200.0);
  const double steps = kimg * 1000 / static_cast<double>(batch);
  loop_.set_anchors(std::max<int64_t>(std::llround(steps), 1), [&state] {
    return state.suspect > 0 ? state.since : std::numeric_limits<int64_t>::max();
  });
}

int64_t GanRecovery::start() {
  const int64_t step = loop_.start();
  apply();
  return step;
}

void GanRecovery::apply() {
  draws_.set_attempt(step_backs_);
  trainer_.scale_learning_rates(rate_factor());
}

double GanRecovery::rate_factor() const {
  return std::pow(config_.learning_rate_factor, static_cast<double>(step_backs_));
}

std::optional<int64_t> GanRecovery::after(int64_t step, const GanStepFigures& figures) {
  const auto reason = sentinel_.check(step, figures);
  if (!reason) return std::nullopt;
  // What the checkpoint is about to overwrite.
  const int64_t times = step_backs_ + 1, first_suspect = sentinel_.state().since;
  const bool again = step <= furthest_;
  const int64_t furthest = std::max(step, furthest_);
  validate(times <= config_.retries, context_.out_dir.string(), ": the training diverges at step ",
           step, " (", *reason, "), after ", config_.retries,
           " times back to a checkpoint (step_backs.jsonl); lower gan.learning_rate, raise "
           "gan.r1_gamma or gan.batch, or raise gan.sentinel.retries");
  std::vector<double> reals;
  for (const double* number : kept_reals_) reals.push_back(*number);
  std::vector<int64_t> integers;
  for (const int64_t* number : kept_integers_) integers.push_back(*number);
  const int64_t back_to = loop_.step_back(first_suspect, again);
  step_backs_ = times;
  furthest_ = furthest;
  for (size_t i = 0; i < reals.size(); ++i) *kept_reals_[i] = reals[i];
  for (size_t i = 0; i < integers.size(); ++i) *kept_integers_[i] = integers[i];
  apply();
  record(step, back_to, *reason);
  // Or a run that is killed before its next checkpoint would go on from what was given up.
  loop_.checkpoint(back_to);
  return back_to;
}

void GanRecovery::record(int64_t step, int64_t back_to, const std::string& reason) const {
  on_root(context_.world, [&] {
    const auto file = context_.out_dir / "step_backs.jsonl";
    std::string text;
    // One that a killed run had got to before is written again.
    if (std::filesystem::exists(file))
      for (const auto& line : read_metrics(file))
        if (line.at("times") < step_backs_) text += line.dump() + "\n";
    text += nlohmann::ordered_json{{"step", step},
                                   {"reason", reason},
                                   {"back_to", back_to},
                                   {"times", step_backs_},
                                   {"learning_rate_factor", rate_factor()}}
                .dump() +
            "\n";
    publish_text(file, text);
    log::warn(
        "gan: diverges at step {} ({}); back to the checkpoint of step {}, learning rate x {}",
        step, reason, back_to, rate_factor());
  });
}

void GanRecovery::finish() const {
  const int64_t suspect = sentinel_.state().suspect;
  if (suspect > 0 && context_.world.is_root())
    log::warn(
        "gan: the last {} steps look like the beginning of a divergence; look at the samples "
        "and at the curves before you use this generator",
        suspect);
}

}  // namespace stylescope
