#include "stages/networks/classifier.hpp"

#include "io/base/error.hpp"
#include "stages/networks/network_files.hpp"
#include "stages/networks/resnet_io.hpp"

#include <algorithm>

namespace stylescope {
namespace {

void check(const Classifier& classifier, const std::string& name) {
  const auto& options = classifier.network->options();
  const auto channels = static_cast<size_t>(options.input_channels);
  validate(static_cast<int64_t>(classifier.class_names.size()) == options.outputs, name, ": ",
           classifier.class_names.size(), " class names for ", options.outputs, " outputs");
  validate(!classifier.positive.empty(), name, ": no class counts as positive; name at least one");
  validate(
      static_cast<int64_t>(classifier.positive.size()) < options.outputs, name,
      ": every class counts as positive (the score would always be 1); leave at least one out");
  for (const auto k : classifier.positive) {
    validate(k >= 0 && k < options.outputs && std::ranges::count(classifier.positive, k) == 1, name,
             ": the positive class ", k, " is named twice or is none of the ", options.outputs,
             " classes");
  }
  validate(classifier.mean.size() == channels && classifier.stddev.size() == channels, name,
           ": mean and stddev hold ", classifier.mean.size(), " and ", classifier.stddev.size(),
           " numbers for ", channels, " channels");
  for (const double s : classifier.stddev)
    validate(s > 0, name, ": stddev must be positive, not ", s);
  validate(classifier.resolution > 0, name, ": the resolution must be positive");
}

torch::Tensor per_channel(const std::vector<double>& values, const torch::TensorOptions& options) {
  return torch::tensor(values, torch::kDouble).to(options).view({1, -1, 1, 1});
}

}  // namespace

torch::Tensor Classifier::prepare(const torch::Tensor& images) const {
  torch::NoGradGuard no_grad;
  const auto options = network->parameters().front().options();
  return images.to(options)
      .div(255)
      .sub_(per_channel(mean, options))
      .div_(per_channel(stddev, options));
}

torch::Tensor Classifier::probabilities(const torch::Tensor& images, int64_t batch) {
  const auto logits =
      evaluate_in_batches(network, images, resolution, batch,
                          [this](const torch::Tensor& part) { return prepare(part); });
  return logits.to(torch::kCPU, torch::kDouble).softmax(1);
}

torch::Tensor Classifier::scores(const torch::Tensor& images, int64_t batch) {
  return pool(probabilities(images, batch));
}

torch::Tensor Classifier::pool(const torch::Tensor& probabilities) const {
  const auto classes = torch::tensor(positive, torch::kLong).to(probabilities.device());
  return probabilities.index_select(1, classes).sum(1);
}

void save_classifier(const std::string& file, Classifier& classifier) {
  check(classifier, file);
  TensorFile content;
  content.tensors = state_dict(classifier.network);
  describe_resnet(classifier.network->options(), content);
  content.metadata["kind"] = "classifier";
  content.metadata["class_names"] = encode(classifier.class_names);
  content.metadata["positive"] = encode(classifier.positive);
  content.metadata["mean"] = encode(classifier.mean);
  content.metadata["stddev"] = encode(classifier.stddev);
  content.metadata["resolution"] = std::to_string(classifier.resolution);
  write_safetensors(file, content);
}

Classifier load_classifier(const std::string& file, torch::Device device, torch::Dtype dtype) {
  return classifier_from(read_safetensors(file), file, device, dtype);
}

Classifier classifier_from(const TensorFile& content, const std::string& file, torch::Device device,
                           torch::Dtype dtype) {
  const auto kind = metadata_text(content, file, "kind");
  validate(kind == "classifier", file, ": holds a network of the kind '", kind,
           "' (a classifier is needed); give the weights that the classifier stage wrote");
  Classifier classifier;
  classifier.network = resnet_from(content, file, device, dtype);
  classifier.class_names = metadata_texts(content, file, "class_names");
  classifier.positive = metadata_integers(content, file, "positive");
  classifier.mean = metadata_reals(content, file, "mean");
  classifier.stddev = metadata_reals(content, file, "stddev");
  classifier.resolution = metadata_integer(content, file, "resolution");
  check(classifier, file);
  return classifier;
}

}  // namespace stylescope
