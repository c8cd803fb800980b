#include "stages/classifier/classifier_data.hpp"

#include "io/base/error.hpp"

#include <algorithm>

namespace stylescope {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t k = 0; k < names.size(); ++k)
    text.append(k > 0 ? ", " : "")
        .append(std::to_string(k))
        .append(" '")
        .append(names[k])
        .append("'");
  return text;
}

}  // namespace

void ClassifierConfig::describe(Fields& f) {
  black_box.describe(f);
  describe_shared(f);
  f.choice("class_weights", class_weights, {"none", "balanced", "list"},
           "what an image of each class counts in the loss; balanced: all classes count the same "
           "together");
  f.field("class_weight_list", class_weight_list, {1e-6, 1e6},
          "with class_weights: list, one number a class");
  f.field("positive", positive, {0, 1 << 20},
          "classes whose probabilities add up to the score f (empty: all but class 0)");
  f.field("patience", patience, {0, 1000000},
          "stop after so many epochs without a better validation AUC (0: never)");
}

void ClassifierConfig::check() const {
  black_box.check("classifier");
  if (!black_box.trained_here()) return;
  check_shared("classifier");
  if ((class_weights == "list") == class_weight_list.empty())
    throw UsageError(
        "classifier.class_weight_list and class_weights: list go together (one is there without "
        "the other); "
        "give both or neither");
}

LabelledRows labelled_rows(const ImageSet& images, Split split) {
  LabelledRows result;
  result.rows = images.indices(split);
  std::vector<int64_t> labels;
  for (const auto row : result.rows) labels.push_back(images.record(row).label);
  result.labels = torch::tensor(labels, torch::kInt64);
  return result;
}

std::vector<int64_t> positive_classes(const ClassifierConfig& config,
                                      const std::vector<std::string>& class_names) {
  const auto classes = static_cast<int64_t>(class_names.size());
  auto positive = config.positive;
  if (positive.empty())
    for (int64_t k = 1; k < classes; ++k) positive.push_back(k);
  for (const auto k : positive) {
    if (k < 0 || k >= classes)
      throw UsageError(detail::concatenate("classifier.positive names the class ", k,
                                           " (there are the classes ", listed(class_names),
                                           "); name some of these"));
    if (std::ranges::count(positive, k) > 1)
      throw UsageError(
          detail::concatenate("classifier.positive names the class ", k, " twice; name it once"));
  }
  if (positive.empty() || static_cast<int64_t>(positive.size()) == classes)
    throw UsageError(detail::concatenate(
        "classifier.positive leaves one kind of image only (the classes are ", listed(class_names),
        "); a classifier needs positive and negative classes"));
  return positive;
}

torch::Tensor pooled_labels(const torch::Tensor& labels, const std::vector<int64_t>& positive) {
  return torch::isin(labels, torch::tensor(positive, torch::kInt64)).to(labels.dtype());
}

torch::Tensor class_weights(const ClassifierConfig& config, const torch::Tensor& labels,
                            int64_t classes) {
  if (config.class_weights == "none") return torch::ones({classes}, torch::kFloat64);
  if (config.class_weights == "balanced") {
    const auto counts = torch::bincount(labels, {}, classes).to(torch::kFloat64);
    return counts.mul(static_cast<double>(classes))
        .reciprocal()
        .mul(static_cast<double>(labels.numel()));
  }
  if (static_cast<int64_t>(config.class_weight_list.size()) != classes)
    throw UsageError(detail::concatenate("classifier.class_weight_list has ",
                                         config.class_weight_list.size(), " numbers for ", classes,
                                         " classes; give one a class"));
  return torch::tensor(config.class_weight_list, torch::kFloat64);
}

void check_data(const ImageSet& images, const std::filesystem::path& file,
                const LabelledRows& train, const LabelledRows& val,
                const std::vector<int64_t>& positive) {
  const auto name = file.string();
  validate(images.height() == images.width(), name, ": holds images of ", images.height(), "x",
           images.width(), " (the networks work on squares); run ingest with a resolution");
  validate(train.size() > 0, name, ": has no training images; check the split fractions of ingest");
  const auto& classes = images.label_names();
  const auto counts = torch::bincount(train.labels, {}, static_cast<int64_t>(classes.size()));
  for (size_t k = 0; k < classes.size(); ++k)
    validate(counts[static_cast<int64_t>(k)].item<int64_t>() > 0, name,
             ": has no training image of the class '", classes[k],
             "' (a class that is never shown cannot be learned); add images of it, or leave its "
             "folder out");
  validate(val.size() > 0, name,
           ": has no validation images (the best weights are chosen by them); check the split "
           "fractions of ingest");
  const auto positives = pooled_labels(val.labels, positive).sum().item<int64_t>();
  const bool both = positives > 0 && val.size() > positives;
  validate(both, name, ": all ", val.size(), " validation images are ",
           positives > 0 ? "positive" : "negative",
           " (no AUC can be taken of one kind); give ingest more images, another seed or a larger "
           "validation share, or check "
           "classifier.positive");
}

}  // namespace stylescope
