#include "stages/explain/explain_stage.hpp"

#include "io/base/error.hpp"
#include "io/explanation_set.hpp"
#include "io/image_set.hpp"
#include "stages/artifacts.hpp"
#include "stages/audit/training_origin.hpp"
#include "stages/explain/choose_images.hpp"
#include "stages/explain/explainer.hpp"
#include "stages/explain/gather_explanations.hpp"
#include "stages/explain/strip_pictures.hpp"
#include "stages/latent/batches.hpp"

#include <cmath>
#include <limits>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// Rows of images.h5 to explain, the same on every rank.
std::vector<int64_t> chosen_rows(const ExplainConfig& config, const ImageSet& images,
                                 const std::string& file, BlackBox& f, RunContext& context) {
  for (const auto index : config.indices)
    if (index >= images.size())
      throw UsageError(detail::concatenate("explain.indices: there is no image ", index, " in ",
                                           file, ", which holds ", images.size(),
                                           "; give numbers from 0 to ", images.size() - 1));
  if (!config.indices.empty()) return config.indices;

  const auto rows = images.indices(config.split == "val" ? Split::val : Split::test);
  validate(!rows.empty(), file, ": has no images in the split '", config.split,
           "'; check the split fractions of ingest, or choose the other one (explain.split)");
  std::vector<torch::Tensor> mine{torch::empty({0}, torch::kFloat64)};
  for_each_batch(context, "explain: f of the split's images", static_cast<int64_t>(rows.size()),
                 config.batch, [&](IndexRange part) {
                   const std::vector<int64_t> batch(rows.begin() + part.begin,
                                                    rows.begin() + part.end);
                   mine.push_back(f.scores(images.read(batch), config.batch));
                 });
  const auto scores = gather_rows(context.world, torch::cat(mine));
  std::vector<int64_t> labels;
  std::vector<std::string> subjects;
  for (const auto row : rows) {
    labels.push_back(images.record(row).label);
    subjects.push_back(images.record(row).subject);
  }
  std::vector<int64_t> chosen;
  for (const auto i : choose_images(torch::tensor(labels, torch::kLong), scores, subjects,
                                    config.images, context.seed))
    chosen.push_back(rows[static_cast<size_t>(i)]);
  return chosen;
}

// A tile is told from its neighbours by where it lies; the middle is what --at takes.
std::string name_of(const ImageRecord& record) {
  const auto& known = record.attributes;
  if (record.slide.empty() || !known.contains("side_x")) return record.path;
  return detail::concatenate(record.path, " at ", std::llround(record.x + known.at("side_x") / 2),
                             ",", std::llround(record.y + known.at("side_y") / 2));
}

void name_rows(ExplanationSet& set, const ImageSet& images, const std::vector<int64_t>& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& record = images.record(rows[i]);
    set.index[static_cast<int64_t>(i)] = rows[i];
    set.label[static_cast<int64_t>(i)] = record.label;
    set.name[i] = name_of(record);
    set.subject[i] = record.subject;
  }
}

// Figures for stage.json, the same on every rank.
nlohmann::json summarise(const ExplanationSet& set) {
  const auto reached = set.target_lambda.isfinite().to(torch::kFloat64);
  const auto error =
      (set.original.to(torch::kFloat64) - set.reconstruction.to(torch::kFloat64)).abs();
  nlohmann::json metrics{{"images", set.size()},
                         {"steps", set.lambda.numel()},
                         {"mean_f_lowest_lambda", set.f_strip.select(1, 0).mean().item<double>()},
                         {"mean_f_highest_lambda", set.f_strip.select(1, -1).mean().item<double>()},
                         {"reconstruction_mean_absolute_error", error.mean().item<double>()}};
  if (reached.numel() > 0) metrics["targets_reached_share"] = reached.mean().item<double>();
  return metrics;
}

}  // namespace

void ExplainConfig::describe(Fields& f) {
  f.choice("split", split, {"test", "val"}, "the images explained come from here");
  f.field("images", images, {1, 100000}, "how many, chosen so that labels and scores are spread");
  f.field("indices", indices, {0, std::numeric_limits<int64_t>::max()},
          "these rows of images.h5 instead");
  f.field("lambda_sd", lambda_sd, {0.01, 100},
          "lambda goes from minus to plus this, in standard deviations along alpha");
  f.field("steps", steps, {3, 1001}, "images along lambda; odd, so that lambda 0 is one of them");
  f.field("targets", targets, {1e-6, 1 - 1e-6},
          "probabilities of f for which an image is looked for");
  f.field("batch", batch, {1, 65536}, "images a call of a network");
  f.field("occlusion", occlusion, {2, 64},
          "for an f that GradCAM cannot look into: it is asked with patches of an n-th of the side "
          "covered, one after another; (2 n - 1)^2 images at most for each explained one");
}

void ExplainConfig::check() const {
  if (steps % 2 == 0)
    throw UsageError(detail::concatenate(
        "explain.steps: is ", steps,
        " (an even number leaves out lambda 0, the reconstruction); make it odd"));
}

nlohmann::json run_explain(const ExplainConfig& config, RunContext& context) {
  config.check();
  const auto images_file = context.images_file();
  const ImageSet images(images_file);
  on_root(context.world, [&] { check_training_origin(context.run_dir, images_file, images); });
  auto networks = load_trained_networks(context);
  validate(images.channels() == networks.channels() && images.height() == networks.resolution() &&
               images.width() == networks.resolution(),
           images_file.string(),
           ": its images are not of the size that the networks were trained for; run the stages "
           "again from ingest on");
  const auto rows = chosen_rows(config, images, images_file.string(), *networks.f, context);

  Explainer explainer(networks, config);
  auto set = explain_on_all_ranks(
      explainer, static_cast<int64_t>(rows.size()),
      [&](int64_t i) { return images.read({rows[static_cast<size_t>(i)]}); }, context);
  name_rows(set, images, rows);
  on_root(context.world, [&] {
    write_explanations(context.out_dir / fs::path(artifacts::explanations).filename(), set);
    write_strip_pictures(context.out_dir, set);
  });
  return summarise(set);
}

}  // namespace stylescope
