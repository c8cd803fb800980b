#include "stages/quality/script_features.hpp"

#include "io/base/error.hpp"
#include "stages/blackbox/load_script.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace stylescope {
namespace {

constexpr int64_t kInceptionFeatures = 2048;
constexpr int64_t kLpipsSide = 256;  // larger images are averaged down to it (Karras et al. 2019)

class ScriptFeatures final : public FeatureNetwork {
 public:
  ScriptFeatures(std::string name, const std::string& file, std::string input, torch::Device device)
      : FeatureNetwork(std::move(name), file), input_(std::move(input)), device_(device) {
    module_ = load_script(file, device);
    const auto& schema = module_.get_method("forward").function().getSchema();
    has_features_ = schema.argumentIndexWithName("return_features").has_value();
    has_lpips_ = schema.argumentIndexWithName("return_lpips").has_value();
    has_resize_ = schema.argumentIndexWithName("resize_images").has_value();
    if (is_inception()) check_inception(has_features_, "its forward() has no return_features");
    for (const auto& parameter : module_.parameters())
      if (parameter.is_floating_point()) {
        dtype_ = parameter.scalar_type();
        break;
      }
  }

  torch::Tensor squared_distances(const torch::Tensor& a, const torch::Tensor& b) override {
    if (!has_lpips_) return FeatureNetwork::squared_distances(a, b);
    const torch::NoGradGuard no_grad;
    const auto lpips = [&](const torch::Tensor& pixels) {
      const int64_t factor = pixels.size(2) / kLpipsSide;
      const auto small = factor > 1 ? torch::avg_pool2d(pixels, factor) : pixels;
      torch::jit::Kwargs options{{"return_lpips", true}};
      if (has_resize_) options.emplace("resize_images", false);
      const auto values = call(small, options);
      validate(values.dim() == 2 && values.isfinite().all().item<bool>(), file(),
               ": gives no LPIPS features (n, e) of finite numbers, but ", values.sizes(),
               "; give a network that does, or leave ppl out of the figures");
      return values.to(torch::kCPU, torch::kDouble);
    };
    return (lpips(a) - lpips(b)).square().sum(1);
  }

  std::string distance_name() const override {
    return has_lpips_ ? "LPIPS of " + name() : FeatureNetwork::distance_name();
  }

 protected:
  torch::Tensor run(const torch::Tensor& pixels) override {
    torch::jit::Kwargs options;
    if (has_features_) options.emplace("return_features", true);
    const auto features = call(pixels, options);
    if (is_inception())
      check_inception(features.dim() == 2 && features.size(1) == kInceptionFeatures,
                      detail::concatenate("it gives ", features.sizes(), ", not (images, ",
                                          kInceptionFeatures, ")"));
    return features;
  }

 private:
  // Figures of another network must not be called FID.
  void check_inception(bool fits, const std::string& why) const {
    validate(fits, file(), ": is not the published Inception network (", why,
             "); use --features, or features: script, for other networks");
  }

  torch::Tensor call(const torch::Tensor& pixels, const torch::jit::Kwargs& options) {
    try {
      const auto result = module_.forward({scaled(pixels)}, options);
      if (!result.isTensor()) throw Error("it returns a " + result.tagKind() + ", not one tensor");
      return result.toTensor();
    } catch (const std::exception& error) {
      throw Error(detail::concatenate(
          file(), ": fails on images of the shape (", pixels.size(0), ", 3, ", pixels.size(2), ", ",
          pixels.size(3), ") (", script_cause(error),
          "); give a network that takes such images, and say what it takes (feature_input: ",
          input_, ")"));
    }
  }

  torch::Tensor scaled(const torch::Tensor& pixels) const {
    auto x = pixels.to(device_);
    if (x.size(1) == 1) x = x.expand({-1, 3, -1, -1});
    if (x.is_floating_point() && dtype_) x = x.to(*dtype_);
    if (input_ == "uint8") return x.contiguous();
    if (!x.is_floating_point()) x = x.to(dtype_.value_or(torch::kFloat32));
    x = x.contiguous();
    if (input_ == "unit") return x / 255;
    if (input_ == "symmetric") return x / 127.5 - 1;
    SS_CHECK(input_ == "imagenet", input_);
    const auto per_channel = [&](at::ArrayRef<double> values) {
      return torch::tensor(values, torch::kDouble).to(x.options()).view({1, 3, 1, 1});
    };
    return (x / 255 - per_channel({0.485, 0.456, 0.406})) / per_channel({0.229, 0.224, 0.225});
  }

  std::string input_;
  torch::Device device_;
  std::optional<torch::Dtype> dtype_;  // of its weights
  torch::jit::Module module_;
  bool has_features_ = false, has_lpips_ = false, has_resize_ = false;
};

}  // namespace

std::unique_ptr<FeatureNetwork> make_script_features(const MetricsConfig& config,
                                                     torch::Device device) {
  const auto& file = config.feature_file;
  const std::string name = config.features == "inception"
                               ? "inception"
                               : std::filesystem::path(file).filename().string();
  return std::make_unique<ScriptFeatures>(name, file, config.feature_input, device);
}

}  // namespace stylescope
