#include "stages/classifier/black_box_trial.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "stages/blackbox/load_black_box.hpp"
#include "stages/classifier/classifier_data.hpp"
#include "stages/latent/batches.hpp"
#include "stages/metrics/agreement.hpp"
#include "stages/metrics/ranking.hpp"

#include <algorithm>
#include <chrono>

namespace stylescope {
namespace {

using nlohmann::json;

constexpr int64_t kMostTraining = 10000;

// Evenly spread over the split, and so over what it is sorted by.
std::vector<int64_t> at_most(const std::vector<int64_t>& rows, int64_t most) {
  const auto n = static_cast<int64_t>(rows.size());
  if (n <= most) return rows;
  std::vector<int64_t> some;
  for (int64_t i = 0; i < most; ++i) some.push_back(rows[static_cast<size_t>(i * n / most)]);
  return some;
}

torch::Tensor scores_of(BlackBox& f, const ImageSet& images, const std::vector<int64_t>& rows,
                        int64_t batch, RunContext& context, const char* title) {
  std::vector<torch::Tensor> mine{torch::empty({0}, torch::kFloat64)};
  const at::ArrayRef<int64_t> all(rows);
  for_each_batch(context, title, static_cast<int64_t>(rows.size()), batch, [&](IndexRange part) {
    const auto some = all.slice(static_cast<size_t>(part.begin), static_cast<size_t>(part.size()));
    mine.push_back(f.scores(images.read(some), batch));
  });
  return gather_rows(context.world, torch::cat(mine));
}

torch::Tensor truth_of(const ImageSet& images, const std::vector<int64_t>& rows,
                       const std::vector<int64_t>& positive) {
  std::vector<int64_t> labels;
  for (const auto row : rows) labels.push_back(images.record(row).label);
  return pooled_labels(torch::tensor(labels, torch::kInt64), positive);
}

void add_figures(json& metrics, const std::string& split, const torch::Tensor& truth,
                 const torch::Tensor& scores) {
  const auto n = truth.numel(), positives = truth.sum().item<int64_t>();
  metrics[split + "_images"] = n;
  if (n == 0) return;
  const auto of_truth = torch::where(truth.eq(1), scores, 1 - scores);
  metrics[split + "_accuracy"] = accuracy(truth, scores, 0.5);
  metrics[split + "_loss"] = -of_truth.clamp_min(1e-300).log().mean().item<double>();
  metrics[split + "_brier"] = brier_score(truth, scores);
  metrics[split + "_calibration_error"] = expected_calibration_error(truth, scores);
  if (positives > 0 && positives < n) metrics[split + "_auc"] = auc(truth, scores);
}

// What would make everything after it worthless, and what looks like a slip.
void judge(const BlackBoxDescription& d, const json& metrics, const torch::Tensor& scores) {
  const double low = scores.min().item<double>(), high = scores.max().item<double>();
  validate(high - low > 1e-9, "f, ", d.about(), ": gives all ", scores.numel(),
           " validation images the same score, ", low,
           ", so there is nothing to explain; check what it is given (classifier.resolution, "
           ".channels, .mean, .std) and what it gives (.scores)");
  // The logistic function of 0 to 1, of one column or of the difference of two.
  if (d.scores == "logits" && d.class_names.size() == 2 && low > 0.268 && high < 0.732)
    log::warn(
        "classifier: f's probabilities lie between {:.2f} and {:.2f}, as probabilities do that are "
        "taken for logits; if it gives probabilities, say classifier.scores: probabilities",
        low, high);
  const double auc = metrics.at("val_auc").get<double>();
  if (auc < 0.5)
    log::warn(
        "classifier: the AUC of f on the validation images is {:.3f}, worse than guessing; are "
        "classifier.positive and class_names in the order of its columns?",
        auc);
}

BlackBoxDescription published(const ClassifierConfig& config, const ImageSet& images,
                              RunContext& context) {
  const auto& given = config.black_box.class_names;
  const auto names = given.empty() ? images.label_names() : given;
  const auto positive = positive_classes(config, names);
  std::string text;
  on_root(context.world, [&] {
    const auto description =
        describe_black_box(config.black_box, names, positive, images.height(), images.channels());
    save_black_box(description, context.out_dir);
    text = to_json(description).dump();
  });
  return description_from(json::parse(context.world.broadcast(text, 0)), artifacts::black_box);
}

}  // namespace

json try_black_box(const ClassifierConfig& config, RunContext& context) {
  const auto file = context.images_file().string();
  const ImageSet images(file, Access::training);
  validate(images.height() == images.width(), file, ": holds images of ", images.height(), "x",
           images.width(), " (the networks work on squares); run ingest with a resolution");
  const auto description = published(config, images, context);
  const auto f = open_black_box(description, context.out_dir, context);
  const auto positive = f->positive_labels(images.label_names());
  const auto val = images.indices(Split::val),
             train = at_most(images.indices(Split::train), kMostTraining);
  const auto val_truth = truth_of(images, val, positive);
  const auto positives = val_truth.sum().item<int64_t>();
  validate(positives > 0 && positives < val_truth.numel(), file, ": has ", val.size(),
           " validation images, of which ", positives,
           " are positive, so f cannot be tried (that takes both kinds); give ingest more images, "
           "another seed or a larger validation share, or check classifier.positive");

  const auto begin = std::chrono::steady_clock::now();
  const auto val_scores =
      scores_of(*f, images, val, config.batch, context, "classifier: f of validation images");
  json metrics{{"kind", description.kind}};
  add_figures(metrics, "val", val_truth, val_scores);
  judge(description, metrics, val_scores);
  const auto train_scores =
      scores_of(*f, images, train, config.batch, context, "classifier: f of training images");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  add_figures(metrics, "train", truth_of(images, train, positive), train_scores);
  metrics["images_per_second"] = static_cast<double>(val.size() + train.size()) / seconds.count();
  log::info("classifier: f is {}; AUC on {} validation images {:.3f}", description.about(),
            val.size(), metrics.at("val_auc").get<double>());
  return metrics;
}

}  // namespace stylescope
