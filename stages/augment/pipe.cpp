#include "stages/augment/pipe.hpp"

#include "io/base/error.hpp"
#include "stages/augment/affine_sample.hpp"
#include "stages/augment/filters.hpp"
#include "stages/ops/upfirdn2d.hpp"

#include <vector>

#include <torch/torch.h>

namespace stylescope {
namespace {

// Numbers per image, as a tensor of the images' kind.
torch::Tensor tensor_of(const std::vector<double>& numbers, at::IntArrayRef shape,
                        const torch::Tensor& images) {
  return torch::tensor(numbers, torch::kFloat64)
      .view(shape)
      .to(images.options().requires_grad(false));
}

// Twice the resolution before and after sampling, so that what bilinear interpolation spoils lies
// beyond the images' frequencies. Coordinates count pixels from the images' centres.
torch::Tensor resample(const torch::Tensor& images, const AugmentPlan& plan) {
  const auto& m = plan.margin;
  const auto padded = at::reflection_pad2d(images, {m.left, m.right, m.above, m.below});
  const auto fine = upsample2d(padded, resampling_filter());
  const AffineMap recentred{1, 0, static_cast<double>(m.left - m.right) / 2,
                            0, 1, static_cast<double>(m.above - m.below) / 2};
  // Upsampling leaves the centre of the first sample of each pair where the pixel's was: half a
  // fine pixel before the middle.
  const AffineMap to_fine{2, 0, -0.5, 0, 2, -0.5}, from_fine{0.5, 0, 0.25, 0, 0.5, 0.25};
  std::vector<AffineMap> maps;
  for (const auto& image : plan.images)
    maps.push_back(to_fine * recentred * image.inverse * from_fine);
  const int64_t border = 2 * kResamplingReach;
  const auto sampled =
      affine_sample(fine, maps, (plan.shape.height + border) * 2, (plan.shape.width + border) * 2);
  return downsample2d(sampled, resampling_filter(), 2, Padding::all(-border), /*flip=*/true);
}

torch::Tensor recolour(const torch::Tensor& images, const AugmentPlan& plan) {
  const int64_t n = images.size(0), channels = images.size(1);
  // Column by column: the factors of one channel of the images, and last the offsets.
  std::vector<std::vector<double>> columns(4);
  for (const auto& image : plan.images)
    for (int64_t row = 0; row < channels; ++row)
      for (size_t column = 0; column < 4; ++column)
        columns[column].push_back(image.colour[static_cast<size_t>(row)][column]);
  auto result = tensor_of(columns[3], {n, channels, 1, 1}, images);
  for (int64_t channel = 0; channel < channels; ++channel)
    result =
        result + images.narrow(1, channel, 1) *
                     tensor_of(columns[static_cast<size_t>(channel)], {n, channels, 1, 1}, images);
  return result;
}

// Every image by a filter of its own, along rows and then along columns.
torch::Tensor filter_bands(const torch::Tensor& images, const AugmentPlan& plan) {
  const int64_t n = images.size(0), channels = images.size(1), planes = n * channels;
  std::vector<double> gains;
  for (const auto& image : plan.images)
    gains.insert(gains.end(), image.gains.begin(), image.gains.end());
  const auto taps =
      torch::tensor(gains, torch::kFloat64).view({n, 4}).matmul(band_filters().to(torch::kFloat64));
  const auto weights =
      taps.repeat_interleave(channels, 0).to(images.options().requires_grad(false));
  constexpr int64_t reach = kImageFilterReach;
  auto x = at::reflection_pad2d(images, {reach, reach, reach, reach});
  x = x.reshape({1, planes, x.size(2), x.size(3)});
  x = torch::conv2d(x, weights.view({planes, 1, 1, -1}), {}, 1, at::IntArrayRef{0}, 1, planes);
  x = torch::conv2d(x, weights.view({planes, 1, -1, 1}), {}, 1, at::IntArrayRef{0}, 1, planes);
  return x.view(images.sizes());
}

torch::Tensor add_noise(const torch::Tensor& images, const AugmentPlan& plan,
                        const torch::Tensor& noise) {
  std::vector<double> deviations;
  for (const auto& image : plan.images) deviations.push_back(image.noise);
  return images + noise.to(images.options().requires_grad(false)) *
                      tensor_of(deviations, {-1, 1, 1, 1}, images);
}

torch::Tensor cut_out(const torch::Tensor& images, const AugmentPlan& plan) {
  auto mask = torch::ones({images.size(0), 1, images.size(2), images.size(3)}, torch::kFloat32);
  // Pixels whose centre lies within half the box's side of the box's centre, along one axis.
  const auto within = [](int64_t pixels, double centre, double side) {
    const auto size = static_cast<double>(pixels);
    return ((torch::arange(pixels, torch::kFloat64) + 0.5) / size - centre).abs() < side / 2;
  };
  for (size_t i = 0; i < plan.images.size(); ++i) {
    const auto& box = plan.images[i].cutout;
    if (box.side == 0) continue;
    const auto inside = within(images.size(2), box.y, box.side).unsqueeze(1) &
                        within(images.size(3), box.x, box.side);
    mask[static_cast<int64_t>(i)][0].masked_fill_(inside, 0);
  }
  return images * mask.to(images.options().requires_grad(false));
}

}  // namespace

torch::Tensor augment(const torch::Tensor& images, const AugmentPlan& plan,
                      const torch::Tensor& noise) {
  SS_CHECK(images.dim() == 4 && images.size(0) == static_cast<int64_t>(plan.images.size()) &&
               images.size(1) == plan.shape.channels && images.size(2) == plan.shape.height &&
               images.size(3) == plan.shape.width,
           images.sizes());
  if (images.size(0) == 0) return images;
  auto x = images;
  if (plan.geometry) x = resample(x, plan);
  if (plan.colour) x = recolour(x, plan);
  if (plan.filter) x = filter_bands(x, plan);
  if (plan.noise) {
    SS_CHECK(noise.defined() && noise.sizes() == images.sizes());
    x = add_noise(x, plan, noise);
  }
  if (plan.cutout) x = cut_out(x, plan);
  return x;
}

torch::Tensor AugmentPipe::operator()(const torch::Tensor& images, double p, int64_t step,
                                      std::string_view call, at::ArrayRef<int64_t> samples) {
  if (operations_.none() || samples.empty()) return images;
  const ImageShape shape{images.size(1), images.size(2), images.size(3)};
  // A rank that works on its share in several rounds asks for the same plan again.
  if (step != planned_step_ || call != planned_call_ || p != planned_p_ ||
      !(shape == plan_.shape)) {
    plan_ = make_plan(operations_, source_->draws(step, call, batch_), p, shape);
    planned_step_ = step;
    planned_p_ = p;
    planned_call_ = call;
  }
  const auto plan = plan_.pick(samples);
  torch::Tensor noise;
  if (plan.noise)
    noise = source_->noise(step, call, samples, images.sizes().slice(1), images.options());
  return augment(images, plan, noise);
}

}  // namespace stylescope
