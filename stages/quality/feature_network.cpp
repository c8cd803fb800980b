#include "stages/quality/feature_network.hpp"

#include "io/base/error.hpp"
#include "io/sha256.hpp"
#include "stages/blackbox/load_black_box.hpp"
#include "stages/networks/classifier.hpp"
#include "stages/networks/resnet_io.hpp"
#include "stages/quality/script_features.hpp"

#include <filesystem>

namespace stylescope {
namespace {

class ClassifierFeatures final : public FeatureNetwork {
 public:
  ClassifierFeatures(const std::string& file, torch::Device device, torch::Dtype dtype)
      : FeatureNetwork("classifier-features", file),
        classifier_(load_classifier(file, device, dtype)) {}

 protected:
  torch::Tensor run(const torch::Tensor& pixels) override {
    auto& network = classifier_.network;
    const int64_t channels = network->options().input_channels, side = classifier_.resolution;
    validate(
        pixels.size(1) == channels && pixels.size(2) == side && pixels.size(3) == side, file(),
        ": works on images of ", channels, "x", side, "x", side, ", but these are ", pixels.size(1),
        "x", pixels.size(2), "x", pixels.size(3),
        " (they come from different runs); name the run of these images, or a --features file");
    const Evaluation evaluation(network);
    return network->features(classifier_.prepare(pixels)).mean({2, 3});
  }

 private:
  Classifier classifier_;
};

}  // namespace

FeatureNetwork::FeatureNetwork(std::string name, std::string file)
    : name_(std::move(name)), file_(std::move(file)), sha256_(sha256_of_file(file_)) {}

torch::Tensor FeatureNetwork::features(const torch::Tensor& pixels) {
  SS_CHECK(pixels.dim() == 4, "pixels ", pixels.sizes());
  const torch::NoGradGuard no_grad;
  const auto features = run(pixels);
  check(features, pixels);
  return features.to(torch::kCPU).contiguous();
}

void FeatureNetwork::check(const torch::Tensor& features, const torch::Tensor& pixels) {
  validate(features.dim() == 2 && features.size(0) == pixels.size(0) && features.size(1) > 0 &&
               features.is_floating_point(),
           file_, ": gives ", features.scalar_type(), " of the shape ", features.sizes(), " for ",
           pixels.size(0), " images (floating point numbers of the shape (", pixels.size(0),
           ", features) are needed); script a network that returns them");
  validate(dimensions_ == 0 || features.size(1) == dimensions_, file_, ": gives ", features.size(1),
           " features for these images and gave ", dimensions_, " for others; script a network ",
           "whose features do not depend on the batch");
  validate(features.isfinite().all().item<bool>(), file_,
           ": gives features that are no finite numbers (overflow, or broken weights); check how "
           "it wants its images (feature_input), and the weights");
  dimensions_ = features.size(1);
}

torch::Tensor FeatureNetwork::squared_distances(const torch::Tensor& a, const torch::Tensor& b) {
  const auto unit = [this](const torch::Tensor& pixels) {
    const auto f = features(pixels).to(torch::kDouble);
    return f / f.norm(2, 1, true).clamp_min(1e-12);
  };
  return (unit(a) - unit(b)).square().sum(1);
}

std::string FeatureNetwork::distance_name() const {
  return "squared distance of unit-length " + name_;
}

std::unique_ptr<FeatureNetwork> make_feature_network(const MetricsConfig& config,
                                                     const RunContext& context) {
  if (!config.uses_classifier()) return make_script_features(config, context.device);
  const auto file = context.run_dir / artifacts::classifier;
  validate(is_own_network(context.run_dir), (context.run_dir / artifacts::black_box).string(),
           ": f is no network of this run, so there are no features of it to compare images by; "
           "give a feature network (--features FILE.pt, or features: script and feature_file)");
  validate(std::filesystem::exists(file), file.string(),
           ": is not there (images are compared by the classifier's features); run the classifier "
           "stage first, or give a feature network (--features FILE.pt)");
  return std::make_unique<ClassifierFeatures>(file.string(), context.device, context.dtype);
}

}  // namespace stylescope
