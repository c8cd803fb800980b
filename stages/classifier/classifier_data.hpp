#pragma once

#include "io/image_set.hpp"
#include "stages/classifier/classifier_config.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// Labels of a split, beside their rows in images.h5.
struct LabelledRows {
  std::vector<int64_t> rows;
  torch::Tensor labels;  // (rows) int64, CPU
  int64_t size() const { return static_cast<int64_t>(rows.size()); }
};
LabelledRows labelled_rows(const ImageSet& images, Split split);

// config.positive, or all classes but 0. Throws UsageError when a class does not exist, is named
// twice, or all are named.
std::vector<int64_t> positive_classes(const ClassifierConfig& config,
                                      const std::vector<std::string>& class_names);

// 1 where the label is among the positive classes. Shape and dtype of `labels`.
torch::Tensor pooled_labels(const torch::Tensor& labels, const std::vector<int64_t>& positive);

// What one sample of each class counts, (K) float64. balanced: N / (K n_k).
torch::Tensor class_weights(const ClassifierConfig& config, const torch::Tensor& labels,
                            int64_t classes);

// Throws Error when the images are not square, a class has no training image, or validation has
// only one pooled class.
void check_data(const ImageSet& images, const std::filesystem::path& file,
                const LabelledRows& train, const LabelledRows& val,
                const std::vector<int64_t>& positive);

}  // namespace stylescope
