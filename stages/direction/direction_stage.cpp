#include "stages/direction/direction_stage.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/pair_set.hpp"
#include "stages/artifacts.hpp"
#include "stages/blackbox/load_black_box.hpp"
#include "stages/latent/batches.hpp"
#include "stages/latent/direction_file.hpp"
#include "stages/metrics/agreement.hpp"
#include "stages/metrics/logistic_regression.hpp"
#include "stages/metrics/ranking.hpp"

#include <algorithm>
#include <cmath>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// f of every synthetic image, by sample number, on every rank.
torch::Tensor score_all(const PairSet& pairs, BlackBox& f, int64_t batch, RunContext& context) {
  std::vector<torch::Tensor> mine{torch::empty({0}, torch::kFloat64)};
  for_each_batch(context, "direction: f of synthetic images", pairs.size(), batch,
                 [&](IndexRange samples) {
                   mine.push_back(f.scores(pairs.read_images(indices_of(samples)), batch));
                 });
  return gather_rows(context.world, torch::cat(mine));
}

// Labels of the fit, or a sentence when f gives them all the same.
void check_both_classes(const torch::Tensor& labels, const torch::Tensor& scores, double threshold,
                        const std::string& file) {
  const auto positives = labels.sum().item<int64_t>();
  if (positives > 0 && positives < labels.numel()) return;
  throw Error(detail::concatenate(
      file, ": f gives all ", labels.numel(),
      " synthetic images of the fit the same label (their scores lie between ",
      scores.min().item<double>(), " and ", scores.max().item<double>(), ", the median is ",
      scores.median().item<double>(), "; direction.threshold is ", threshold,
      "), so there is no direction between the labels; train the gan longer so that it makes both "
      "kinds, make more "
      "samples (synthesize.samples), or set direction.threshold within that range"));
}

Direction fit(const torch::Tensor& w, const torch::Tensor& scores, int64_t fitted,
              const DirectionConfig& config, const std::string& file, torch::Device device) {
  const auto labels = scores.ge(config.threshold).to(torch::kLong);
  check_both_classes(labels.slice(0, 0, fitted), scores.slice(0, 0, fitted), config.threshold,
                     file);
  const auto x = w.to(device, torch::kFloat64);
  const auto regression = fit_logistic_regression(x.slice(0, 0, fitted),
                                                  labels.slice(0, 0, fitted).to(device), config.c);

  Direction direction;
  direction.alpha = regression.coefficients.cpu();
  direction.beta = regression.intercept;
  direction.unit = direction.alpha / direction.alpha.norm();
  const auto projection = x.slice(0, 0, fitted).cpu().matmul(direction.unit);
  direction.projection_mean = projection.mean().item<double>();
  direction.projection_sd = projection.std().item<double>();
  direction.scores = scores;
  direction.logits = regression.decision(x).cpu();
  direction.held_out = torch::zeros({scores.numel()}, torch::kUInt8);
  direction.held_out.slice(0, fitted).fill_(1);
  direction.threshold = config.threshold;
  direction.c = config.c;
  return direction;
}

nlohmann::json measure(const Direction& direction, int64_t fitted) {
  const auto scores = direction.scores.slice(0, fitted), logits = direction.logits.slice(0, fitted);
  const auto labels = scores.ge(direction.threshold).to(torch::kLong);
  const auto positives = labels.sum().item<int64_t>();
  nlohmann::json metrics{
      {"samples", direction.scores.numel()},
      {"fitted_on", fitted},
      {"held_out", labels.numel()},
      {"positive_share",
       direction.scores.ge(direction.threshold).to(torch::kFloat64).mean().item<double>()},
      {"held_out_accuracy", accuracy(labels, logits, 0)},
      {"held_out_pearson_logits", pearson(logits, logit_of(scores))},
      {"held_out_spearman", spearman(logits, scores)},
      {"alpha_norm", direction.alpha.norm().item<double>()},
      {"beta", direction.beta},
      {"projection_sd", direction.projection_sd}};
  if (positives > 0 && positives < labels.numel())
    metrics["held_out_auc"] = auc(labels, logits);
  else
    log::warn("direction: the held-out samples are all of one label: their AUC is not defined");
  return metrics;
}

}  // namespace

void DirectionConfig::describe(Fields& f) {
  f.field("threshold", threshold, {0, 1},
          "a synthetic image counts as positive when f is at least this");
  f.field("c", c, {1e-12, 1e12}, "inverse strength of the L2 penalty of the logistic regression");
  f.field("held_out", held_out, {0.001, 0.9},
          "share of the samples kept from the fit, to measure it");
  f.field("batch", batch, {1, 65536},
          "images a call of f on a rank; the result does not depend on it");
}

nlohmann::json run_direction(const DirectionConfig& config, RunContext& context) {
  const auto pairs_file = context.run_dir / artifacts::pairs;
  const PairSet pairs(pairs_file, context.world.is_root());
  const auto f = load_black_box(context);
  const int64_t fitted =
      pairs.size() - std::llround(config.held_out * static_cast<double>(pairs.size()));
  validate(fitted >= 2 && fitted < pairs.size(), pairs_file.string(), ": ", pairs.size(),
           " samples leave ", fitted, " to fit and ", pairs.size() - fitted,
           " to measure; raise synthesize.samples");

  const auto scores = score_all(pairs, *f, config.batch, context);
  std::string metrics;
  on_root(context.world, [&] {
    const auto direction =
        fit(pairs.w(), scores, fitted, config, pairs_file.string(), context.device);
    save_direction(context.out_dir / fs::path(artifacts::direction).filename(), direction);
    metrics = measure(direction, fitted).dump();
  });
  return nlohmann::json::parse(context.world.broadcast(metrics, 0));
}

}  // namespace stylescope
