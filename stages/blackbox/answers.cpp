#include "stages/blackbox/answers.hpp"

#include "io/base/error.hpp"
#include "io/picture.hpp"

#include <vector>

namespace stylescope {
namespace {

constexpr double kRounding = 1e-3;

// In OpenCV's fixed point, which read_picture makes grey pictures by.
torch::Tensor luminance(const torch::Tensor& rgb) {
  const auto x = rgb.to(torch::kInt32);
  const auto sum = x.select(1, 0) * 9798 + x.select(1, 1) * 19235 + x.select(1, 2) * 3735;
  return ((sum + (1 << 14)) / (1 << 15)).floor().to(torch::kUInt8).unsqueeze(1);
}

torch::Tensor with_channels(const torch::Tensor& images, int64_t channels) {
  if (images.size(1) == channels) return images;
  if (channels == 1) return luminance(images);
  return images.expand({-1, channels, -1, -1});
}

void check_range(const torch::Tensor& p, const std::string& who) {
  const auto outside = p.lt(-kRounding).logical_or(p.gt(1 + kRounding));
  if (outside.any().item<bool>())
    throw Error(detail::concatenate(
        who, ": gives ", p.masked_select(outside)[0].item<double>(),
        ", which is no probability (it lies outside of [0, 1]); if these are logits, say "
        "classifier.scores: logits"));
  if (p.size(1) == 1 || p.size(0) == 0) return;
  const auto sums = p.sum(1);
  const auto off = (sums - 1).abs();
  const auto worst = off.argmax().item<int64_t>();
  validate(off[worst].item<double>() <= kRounding, who,
           ": gives probabilities of an image that add up to ", sums[worst].item<double>(),
           ", not to 1; say classifier.scores: logits if they are none, or give the one column of "
           "the positive class (of two class_names)");
}

}  // namespace

torch::Tensor images_for(const torch::Tensor& images, int64_t channels, int64_t resolution) {
  SS_CHECK(images.dim() == 4 && images.scalar_type() == torch::kUInt8, images.sizes());
  auto x = images.cpu();
  if (channels < x.size(1)) x = with_channels(x, channels);
  if (x.size(2) != resolution && x.size(0) > 0) {
    std::vector<torch::Tensor> resized;
    for (const auto& image : x.unbind()) resized.push_back(resize_picture(image, resolution));
    x = torch::stack(resized);
  }
  return with_channels(x, channels).contiguous();
}

torch::Tensor probabilities_of(const torch::Tensor& scores, const std::string& kind, int64_t images,
                               int64_t classes, const std::string& who) {
  const auto given = scores.dim() == 1 ? scores.unsqueeze(1) : scores;
  validate(given.dim() == 2 && given.size(0) == images, who, ": gives scores of the shape ",
           scores.sizes(), " for ", images, " images (a row an image is needed: [", images, ", ",
           classes, "])");
  const bool single = given.size(1) == 1 && classes == 2;
  validate(given.size(1) == classes || single, who, ": gives ", given.size(1),
           " scores an image, but there are ", classes,
           " classes; name a class for each (classifier.class_names)");
  const auto x = given.detach().to(torch::kCPU, torch::kFloat64);
  const auto finite = x.isfinite();
  validate(finite.all().item<bool>(), who, ": gives scores that are no finite numbers (",
           finite.logical_not().any(1).sum().item<int64_t>(), " of ", images,
           " images get NaN or infinity); check its weights, and how it takes its images");
  const bool logits = kind == "logits";
  if (!logits) check_range(x, who);
  if (!single) return logits ? x.softmax(1) : x.clamp(0, 1);
  const auto p = logits ? x.sigmoid() : x.clamp(0, 1);
  return torch::cat({1 - p, p}, 1);
}

}  // namespace stylescope
