#include "stages/evaluate/evaluate_stage.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/explanation_set.hpp"
#include "io/image_set.hpp"
#include "stages/artifacts.hpp"
#include "stages/audit/training_origin.hpp"
#include "stages/evaluate/associations.hpp"
#include "stages/evaluate/json_interval.hpp"
#include "stages/evaluate/phantom_change.hpp"
#include "stages/evaluate/strip_statistics.hpp"
#include "stages/evaluate/test_split.hpp"
#include "stages/metrics/agreement.hpp"
#include "stages/metrics/ranking.hpp"

#include <cmath>
#include <set>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;

// Ranking and calibration against the true label. `probability` (N).
json against_true_label(const TestSplit& split, const torch::Tensor& ranking,
                        const torch::Tensor& probability, const EvaluateConfig& config,
                        uint64_t seed) {
  const auto& labels = split.labels;
  json figures{
      {"auc", to_json(bootstrap_auc(labels, ranking, split.subjects, config.bootstrap, seed))},
      {"delong", nullptr},
      {"accuracy", accuracy(labels, probability, 0.5)},
      {"brier", brier_score(labels, probability)},
      {"calibration_error", expected_calibration_error(labels, probability)}};
  const auto positives = labels.sum().item<int64_t>();
  if (positives >= 2 && labels.numel() - positives >= 2)
    figures["delong"] = to_json(delong(labels, ranking).logit);
  return figures;
}

json comparison(const TestSplit& split) {
  const auto positives = split.labels.sum().item<int64_t>();
  if (positives < 2 || split.labels.numel() - positives < 2) return nullptr;
  const auto c = delong_compare(split.labels, split.f, split.surrogate_logits);
  return {{"difference", c.auc1 - c.auc2}, {"z", c.z}, {"p", c.p_two_sided}};
}

// f~(w) against f's label on the synthetic images that the fit has not seen; each of them is a
// subject of its own.
json against_f_label(const Direction& direction, const EvaluateConfig& config, uint64_t seed) {
  const auto held_out = direction.held_out.to(torch::kBool);
  const auto labels =
      direction.scores.masked_select(held_out).ge(direction.threshold).to(torch::kLong);
  const auto logits = direction.logits.masked_select(held_out);
  const auto positives = labels.sum().item<int64_t>(), n = labels.numel();
  json figures{{"images", n},
               {"auc", nullptr},
               {"delong", nullptr},
               {"accuracy", accuracy(labels, logits, 0)}};
  std::vector<std::string> subjects;
  for (int64_t i = 0; i < n; ++i) subjects.push_back(std::to_string(i));
  if (positives > 0 && positives < n)
    figures["auc"] = to_json(bootstrap_auc(labels, logits, subjects, config.bootstrap, seed));
  if (positives >= 2 && n - positives >= 2)
    figures["delong"] = to_json(delong(labels, logits).logit);
  return figures;
}

double same_answer(const torch::Tensor& a, const torch::Tensor& b) {
  return a.eq(b).to(torch::kFloat64).mean().item<double>();
}

json agreement(const TestSplit& split, double threshold) {
  const auto f = split.f.ge(threshold).to(torch::kLong),
             surrogate = split.surrogate_logits.ge(0).to(torch::kLong);
  return {{"same_answer", same_answer(f, surrogate)},
          {"kappa", cohen_kappa(f, surrogate)},
          {"pearson_logits", pearson(logit_of(split.f), split.surrogate_logits)},
          {"spearman", spearman(split.f, split.surrogate_logits)}};
}

json reconstruction(const TestSplit& split) {
  const double mse = split.squared_error.mean().item<double>();
  return {{"mean_absolute_error", split.absolute_error.mean().item<double>()},
          {"psnr", 10 * std::log10(255 * 255 / mse)},
          {"same_answer", same_answer(split.f.ge(0.5), split.f_reconstruction.ge(0.5))},
          {"mean_change_of_f", (split.f - split.f_reconstruction).abs().mean().item<double>()},
          {"pearson_logits", pearson(logit_of(split.f), logit_of(split.f_reconstruction))}};
}

// What goes into stage.json and the summary on the terminal.
json headline(const json& e) {
  json metrics{{"test_images", e["images"]},
               {"auc_f", e["f_true_label"]["auc"]["value"]},
               {"auc_f_low", e["f_true_label"]["auc"]["low"]},
               {"auc_f_high", e["f_true_label"]["auc"]["high"]},
               {"auc_surrogate", e["surrogate_true_label"]["auc"]["value"]},
               {"auc_surrogate_low", e["surrogate_true_label"]["auc"]["low"]},
               {"auc_surrogate_high", e["surrogate_true_label"]["auc"]["high"]},
               {"same_answer_f_surrogate", e["agreement"]["same_answer"]},
               {"reconstruction_mean_absolute_error", e["reconstruction"]["mean_absolute_error"]},
               {"strips_rising", e["strips"]["rising"]}};
  if (!e["surrogate_f_label"]["auc"].is_null())
    metrics["auc_surrogate_f_label"] = e["surrogate_f_label"]["auc"]["value"];
  if (e.contains("phantom")) {
    metrics["phantom_ratio"] = e["phantom"]["ratio"]["value"];
    metrics["phantom_ratio_low"] = e["phantom"]["ratio"]["low"];
    metrics["phantom_ratio_high"] = e["phantom"]["ratio"]["high"];
    metrics["phantom_moves"] = e["phantom"]["moves"];
  }
  return metrics;
}

}  // namespace

void EvaluateConfig::describe(Fields& f) {
  f.field("bootstrap", bootstrap, {100, 10'000'000}, "draws of subjects behind each 95 % interval");
  f.field("batch", batch, {1, 65536},
          "images a call of a network; the result does not depend on it");
  f.field("phantom_images", phantom_images, {1, 1'000'000},
          "phantom only: test images measured along alpha");
  f.field("phantom_sd", phantom_sd, {0.01, 100},
          "phantom only: from minus to plus this, in standard deviations along alpha");
}

json run_evaluate(const EvaluateConfig& config, RunContext& context) {
  const auto images_file = context.images_file();
  const ImageSet images(images_file);
  on_root(context.world, [&] { check_training_origin(context.run_dir, images_file, images); });
  auto networks = load_trained_networks(context);
  const auto strips = read_explanations(context.run_dir / artifacts::explanations);
  const auto split =
      measure_test_split(images, images_file.string(), networks, config.batch, context);
  const auto phantom =
      is_phantom(images) ? evaluate_phantom(images, networks, config, context) : json();

  // The bootstraps are the root's work: the others sleep.
  std::string text;
  on_root(context.world, [&] {
    const auto& subjects = split.subjects;
    json e{{"images", split.labels.numel()},
           {"subjects", std::set<std::string>(subjects.begin(), subjects.end()).size()},
           {"positive_share", split.labels.to(torch::kFloat64).mean().item<double>()}};
    e["f_true_label"] = against_true_label(split, split.f, split.f, config, context.seed);
    e["surrogate_true_label"] = against_true_label(
        split, split.surrogate_logits, split.surrogate_logits.sigmoid(), config, context.seed);
    e["comparison"] = comparison(split);
    e["surrogate_f_label"] = against_f_label(networks.direction, config, context.seed);
    e["agreement"] = agreement(split, networks.direction.threshold);
    e["reconstruction"] = reconstruction(split);
    e["strips"] = strip_statistics(strips);
    e["associations"] = associations(images, split, config, context.seed);
    if (!phantom.is_null()) e["phantom"] = phantom;
    text = e.dump(2) + "\n";
    publish_text(context.out_dir / fs::path(artifacts::evaluation).filename(), text);
  });
  return headline(json::parse(context.world.broadcast(text, 0)));
}

}  // namespace stylescope
