#include "stages/training/augment.hpp"

#include "io/base/error.hpp"

namespace stylescope {
namespace {

// Columns of the table of draws, one row an image.
enum Draw : int64_t { mirror_x, mirror_y, move_x, move_y, light, spread, draws };

// (N, side): from which row or column each row or column of the result is taken.
torch::Tensor source_positions(int64_t side, const torch::Tensor& mirror, const torch::Tensor& move,
                               bool flip, double shift) {
  auto positions = torch::arange(side, torch::kInt64).unsqueeze(0);
  // A shift by s = -m..m, each equally likely, m = whole pixels within `shift`.
  const auto most = static_cast<double>(static_cast<int64_t>(shift * static_cast<double>(side)));
  const auto steps = move.mul(2 * most + 1).floor().sub(most).to(torch::kInt64);
  positions = positions.sub(steps.unsqueeze(1)).clamp(0, side - 1);
  if (!flip) return positions;
  return torch::where(mirror.lt(0.5).unsqueeze(1), side - 1 - positions, positions);
}

torch::Tensor moved(const torch::Tensor& images, const torch::Tensor& table,
                    const AugmentConfig& config) {
  const auto n = images.size(0), h = images.size(2), w = images.size(3);
  const auto rows = source_positions(h, table.select(1, mirror_y), table.select(1, move_y),
                                     config.flip_vertical, config.shift);
  const auto columns = source_positions(w, table.select(1, mirror_x), table.select(1, move_x),
                                        config.flip_horizontal, config.shift);
  return images.gather(2, rows.to(images.device()).view({n, 1, h, 1}).expand_as(images))
      .gather(3, columns.to(images.device()).view({n, 1, 1, w}).expand_as(images));
}

torch::Tensor relit(const torch::Tensor& images, const torch::Tensor& table,
                    const AugmentConfig& config) {
  const auto signed_draw = [&](Draw column) {
    return table.select(1, column).mul(2).sub(1).to(images.options()).view({-1, 1, 1, 1});
  };
  const auto mean = images.mean({1, 2, 3}, true);
  const auto scale = signed_draw(spread).mul(config.contrast).add(1);
  const auto offset = signed_draw(light).mul(255 * config.brightness);
  return (images - mean).mul_(scale).add_(mean).add_(offset).clamp_(0, 255);
}

}  // namespace

void AugmentConfig::describe(Fields& f) {
  f.field("flip_horizontal", flip_horizontal,
          "mirror left and right, at random (only where the anatomy allows it)");
  f.field("flip_vertical", flip_vertical, "mirror top and bottom, at random");
  f.field("shift", shift, {0, 0.5}, "move by up to this share of the side, the border repeated");
  f.field("brightness", brightness, {0, 1},
          "brighten or darken by up to this share of the full range");
  f.field("contrast", contrast, {0, 1}, "stretch or squeeze contrast by up to this share");
}

bool AugmentConfig::any() const {
  return flip_horizontal || flip_vertical || shift > 0 || brightness > 0 || contrast > 0;
}

torch::Tensor augment(const torch::Tensor& images, const AugmentConfig& config,
                      const RandomKey& key, at::ArrayRef<int64_t> samples,
                      const torch::TensorOptions& options) {
  SS_CHECK(images.size(0) == static_cast<int64_t>(samples.size()));
  torch::NoGradGuard no_grad;
  if (!config.any()) return images.to(options);
  const auto table = keyed_uniform(key, samples, {draws}, torch::kFloat64);
  auto pixels = images;
  if (config.flip_horizontal || config.flip_vertical || config.shift > 0)
    pixels = moved(pixels, table, config);
  pixels = pixels.to(options);
  if (config.brightness > 0 || config.contrast > 0) pixels = relit(pixels, table, config);
  return pixels;
}

}  // namespace stylescope
