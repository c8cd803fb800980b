#include "stages/gan/gan_quality.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "stages/networks/state.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace stylescope {
namespace {

std::string exact(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

}  // namespace

void GanMetricsConfig::describe(Fields& f) {
  f.field("every_kimg", every_kimg, {0, 1e9},
          "figures of the moving average of G this often, in thousands of images (0: off)");
  f.field("keep_best", keep_best,
          "keep the generator of the smallest Frechet distance so far, as best.safetensors");
  MetricsConfig::describe(f);
}

void GanMetricsConfig::check() const {
  if (!on()) return;
  MetricsConfig::check("gan.metrics.", {"fd", "kid", "pr", "ppl"});
  if (keep_best && !wants("fd"))
    throw UsageError(
        "gan.metrics.keep_best goes by the Frechet distance, which gan.metrics.figures does not "
        "name; add fd, or set keep_best: false");
}

GanQuality::GanQuality(const GanMetricsConfig& config, int64_t batch, int64_t total_steps,
                       RunContext& context, const ImageSet& images, Generator average,
                       TrainingLoop& loop)
    : config_(config),
      total_steps_(total_steps),
      deaf_(StopSignal::Hearing::deaf),
      context_{context.world,   context.device,  context.dtype, context.seed,
               context.run_dir, context.out_dir, deaf_,         context.images},
      average_(std::move(average)),
      loop_(loop) {
  if (!config.on()) return;
  every_ =
      std::max<int64_t>(1, std::llround(config.every_kimg * 1000 / static_cast<double>(batch)));
  network_ = make_feature_network(config, context_);
  meter_ = std::make_unique<QualityMeter>(config_, images, *network_, context_);
  // Rounded features would drown what a figure measures (the path length's step is 1e-4 in W), and
  // whoever reads the file computes in float32.
  auto options = average_->options();
  options.numerics = {};
  judged_ = Generator(options);
  judged_->to(context.device, context.dtype);
  judged_->eval();
  loop.add("quality.best", best_);
  loop.add("quality.best_step", best_step_);
}

void GanQuality::after(int64_t completed) {
  if (!meter_ || (completed % every_ != 0 && completed != total_steps_)) return;
  context_.world.doing("gan: quality", completed);
  copy_weights();
  const auto result = meter_->measure(judged_);
  Figures line;
  std::string words;
  for (const auto& figure : result.figures) {
    line.emplace_back(figure.name(), figure.value);
    words += detail::concatenate(words.empty() ? "" : ", ", figure.name(), " ", figure.value);
  }
  line.emplace_back("quality_real", static_cast<double>(meter_->real_rows().size()));
  line.emplace_back("quality_generated", static_cast<double>(config_.images));
  line.emplace_back("quality_seed", static_cast<double>(context_.seed));
  loop_.log(completed - 1, line);
  log::info("gan: after step {}: {} ({} generated, {} real images, seed {})", completed, words,
            config_.images, meter_->real_rows().size(), context_.seed);
  if (completed == total_steps_)
    for (const auto& warning : result.warnings) log::warn("gan: {}", warning);
  if (const auto* frechet = result.frechet(); frechet && config_.keep_best)
    keep_best(*frechet, completed);
}

void GanQuality::copy_weights() {
  const torch::NoGradGuard no_grad;
  const auto from = state_of(*average_), to = state_of(*judged_);
  SS_CHECK(from.size() == to.size(), from.size(), " and ", to.size(), " tensors");
  for (size_t i = 0; i < to.size(); ++i) to[i].second.copy_(from[i].second);
}

void GanQuality::keep_best(const QualityFigure& frechet, int64_t completed) {
  if (!(frechet.value < best_)) return;
  best_ = frechet.value;
  best_step_ = completed;
  on_root(context_.world, [&] {
    save_generator((context_.out_dir / "best.safetensors").string(), average_,
                   {{"quality_figure", frechet.name()},
                    {"quality_value", exact(frechet.value)},
                    {"quality_step", std::to_string(completed)},
                    {"quality_real", std::to_string(frechet.real)},
                    {"quality_generated", std::to_string(frechet.generated)},
                    {"quality_seed", std::to_string(context_.seed)}});
  });
}

nlohmann::json GanQuality::metrics() const {
  if (best_step_ == 0) return nlohmann::json::object();
  const std::string figure =
      network_->is_inception() ? "fid" : "frechet_distance[" + network_->name() + "]";
  return {{"best_step", best_step_}, {"best_" + figure, best_}};
}

}  // namespace stylescope
