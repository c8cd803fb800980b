#include "stages/quality/generated_images.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "io/picture.hpp"

namespace stylescope {

GeneratedImages::GeneratedImages(Generator generator, const ImageSet& images,
                                 const MetricsConfig& config, const RunContext& context)
    : generator_(std::move(generator)),
      psi_(config.psi),
      random_noise_(config.noise == "random"),
      seed_(context.seed),
      options_(context.options()) {
  const auto& g = generator_->options();
  const auto file = context.images_file().string();
  validate(g.resolution == images.height() && g.resolution == images.width() &&
               g.image_channels == images.channels(),
           file, ": holds images of ", images.channels(), "x", images.height(), "x", images.width(),
           ", but the generator makes ", g.image_channels, "x", g.resolution, "x", g.resolution,
           " (they come from different runs); name the run that trained these weights");
  if (g.c_dim == 0) return;
  validate(static_cast<int64_t>(images.label_names().size()) == g.c_dim, file, ": has ",
           images.label_names().size(), " classes, but the generator was trained for ", g.c_dim,
           "; name the run that trained these weights");
  for (const auto row : images.indices(Split::train)) labels_.push_back(images.record(row).label);
}

torch::Tensor GeneratedImages::pixels(const std::vector<int64_t>& samples) {
  const torch::NoGradGuard no_grad;
  return to_uint8(synthesize(w(samples, "quality.z", 0), samples, "quality.noise")).cpu();
}

std::pair<torch::Tensor, torch::Tensor> GeneratedImages::steps_in_w(
    const std::vector<int64_t>& samples, double epsilon) {
  const torch::NoGradGuard no_grad;
  const auto from = w(samples, "quality.path.z", 0), to = w(samples, "quality.path.z", 1);
  const auto picture = [&](const torch::Tensor& at) {
    return (synthesize(at, samples, "quality.path.noise") + 1) * 127.5;
  };
  return {picture(from), picture(from + epsilon * (to - from))};
}

torch::Tensor GeneratedImages::w(const std::vector<int64_t>& samples, const char* purpose,
                                 int64_t which) {
  const auto& g = generator_->options();
  const auto z = keyed_normal({seed_, purpose, which}, samples, {g.z_dim}, options_);
  torch::Tensor classes;
  if (!labels_.empty()) {
    std::vector<int64_t> drawn;
    for (const auto sample : samples) {
      const auto image =
          keyed_integer({seed_, "quality.class", 0}, static_cast<int64_t>(labels_.size()), sample);
      drawn.push_back(labels_[static_cast<size_t>(image)]);
    }
    classes = torch::one_hot(torch::tensor(drawn, torch::kLong), g.c_dim).to(options_);
  }
  const auto w = generator_->map(z, classes);
  return psi_ == 1 ? w : generator_->w_avg() + psi_ * (w - generator_->w_avg());
}

torch::Tensor GeneratedImages::synthesize(const torch::Tensor& w,
                                          const std::vector<int64_t>& samples,
                                          const char* purpose) {
  Noise noise;
  if (random_noise_)
    noise = {Noise::Mode::given, keyed_normal({seed_, purpose, 0}, samples,
                                              {generator_->options().noise_size()}, options_)};
  return generator_->synthesize(generator_->broadcast(w), noise);
}

}  // namespace stylescope
