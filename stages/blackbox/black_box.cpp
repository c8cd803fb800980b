#include "stages/blackbox/black_box.hpp"

#include "io/base/error.hpp"
#include "stages/blackbox/black_box_config.hpp"

#include <algorithm>

namespace stylescope {
namespace {

class ResNetBox final : public BlackBox {
 public:
  explicit ResNetBox(Classifier classifier)
      : BlackBox(classifier.class_names, classifier.positive,
                 classifier.network->options().input_channels, classifier.resolution),
        classifier_(std::move(classifier)) {}

  torch::Tensor probabilities(const torch::Tensor& images, int64_t batch) override {
    return classifier_.probabilities(images, batch);
  }
  Classifier* network() override { return &classifier_; }
  std::string about() const override {
    return detail::concatenate("a ResNet-", classifier_.network->options().depth,
                               " that this run has trained");
  }

 private:
  Classifier classifier_;
};

}  // namespace

BlackBox::BlackBox(std::vector<std::string> class_names, std::vector<int64_t> positive,
                   int64_t channels, int64_t resolution)
    : class_names_(std::move(class_names)),
      positive_(std::move(positive)),
      channels_(channels),
      resolution_(resolution) {}

torch::Tensor BlackBox::scores(const torch::Tensor& images, int64_t batch) {
  return pool(probabilities(images, batch));
}

torch::Tensor BlackBox::pool(const torch::Tensor& probabilities) const {
  return probabilities.index_select(1, torch::tensor(positive_, torch::kLong)).sum(1);
}

std::vector<int64_t> BlackBox::positive_labels(const std::vector<std::string>& label_names) const {
  if (label_names == class_names_) return positive_;
  const auto names = positive_names();
  std::vector<int64_t> labels;
  for (size_t k = 0; k < label_names.size(); ++k)
    if (std::ranges::count(names, label_names[k]) > 0) labels.push_back(static_cast<int64_t>(k));
  validate(!labels.empty() && labels.size() < label_names.size(), "the images' labels are ",
           joined(label_names, ", "), ", of which ", labels.empty() ? "none" : "every one",
           " is called as f's positive classes are (", joined(names, ", "),
           "), so that nothing says which images f should call positive; write "
           "classifier.class_names, a name for each of f's columns, in the words of the labels");
  return labels;
}

std::vector<std::string> BlackBox::positive_names() const {
  std::vector<std::string> names;
  for (const auto k : positive_) names.push_back(class_names_.at(static_cast<size_t>(k)));
  return names;
}

std::unique_ptr<BlackBox> make_resnet_box(Classifier classifier) {
  return std::make_unique<ResNetBox>(std::move(classifier));
}

}  // namespace stylescope
