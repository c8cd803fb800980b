#include "stages/html/heat_picture.hpp"

#include <algorithm>

namespace stylescope::html {
namespace {

// (..., 3) colours of values in [0, 1], linear between five anchors of rising brightness.
torch::Tensor colours(const torch::Tensor& values) {
  static constexpr double kAnchors[5][3] = {
      {0, 0, 4}, {87, 16, 110}, {188, 55, 84}, {249, 142, 9}, {252, 255, 164}};
  const auto anchors =
      torch::from_blob(const_cast<double*>(&kAnchors[0][0]), {5, 3}, torch::kFloat64).clone();
  const auto position = values.to(torch::kFloat64).clamp(0, 1) * 4;
  const auto below = position.floor().clamp(0, 3).to(torch::kLong);
  const auto share = (position - below).unsqueeze(-1);
  const auto shape = below.sizes().vec();
  const auto at = [&](const torch::Tensor& index) {
    auto full = shape;
    full.push_back(3);
    return anchors.index_select(0, index.reshape(-1)).view(full);
  };
  return at(below) * (1 - share) + at(below + 1) * share;
}

torch::Tensor as_picture(const torch::Tensor& colours) {
  return colours.permute({2, 0, 1}).round().clamp(0, 255).to(torch::kUInt8).contiguous();
}

}  // namespace

torch::Tensor heat_picture(const torch::Tensor& values, double top) {
  return as_picture(colours(values.to(torch::kFloat64) / std::max(top, 1e-12)));
}

torch::Tensor overlay_picture(const torch::Tensor& image, const torch::Tensor& map) {
  const auto grey = image.to(torch::kFloat64).mean(0).unsqueeze(-1);
  const auto opacity = map.to(torch::kFloat64).clamp(0, 1).unsqueeze(-1) * 0.7;
  // From a third of the scale on: the dark colours would only blacken the picture.
  return as_picture(grey * (1 - opacity) +
                    colours(0.35 + 0.6 * map.to(torch::kFloat64).clamp(0, 1)) * opacity);
}

}  // namespace stylescope::html
