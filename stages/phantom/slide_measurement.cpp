#include "stages/phantom/slide_measurement.hpp"

#include "io/base/error.hpp"
#include "stages/phantom/tissue_look.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace stylescope {
namespace {

constexpr double kGlass = 243;     // grey level without stain
constexpr double kMeasured = 0.5;  // micrometres a pixel of what is measured
// Sides of the squares, in those pixels. What goes away below the least one is chromatin, nucleoli
// and noise; small nuclei go at about 10, large ones at about 18.
constexpr int64_t kLeastSide = 8, kLargestSide = 24, kSideStep = 2;

// The darkest parts of large nuclei are smaller and so, in a picture of limited sharpness, a little
// paler: amount of haematoxylin at its 97th percentile, at nominal strength, by the size measured.
double nominal_peak(double nuclear_size) { return std::max(0.5, 1.25 - 0.09 * (nuclear_size - 8)); }

// Amount of haematoxylin, (1, 1, H, W) float: optical densities split over the two stains, least
// squares.
torch::Tensor haematoxylin_of(const torch::Tensor& tile) {
  const auto* h = tissue::kHaematoxylin;
  const auto* e = tissue::kEosin;
  const double hh = h[0] * h[0] + h[1] * h[1] + h[2] * h[2];
  const double ee = e[0] * e[0] + e[1] * e[1] + e[2] * e[2];
  const double he = h[0] * e[0] + h[1] * e[1] + h[2] * e[2];
  const auto density = -torch::log(tile.to(torch::kCPU, torch::kFloat32).clamp_min(2) / kGlass);
  auto amount = torch::zeros_like(density[0]);
  for (int64_t c = 0; c < 3; ++c)
    amount += density[c] * ((ee * h[c] - he * e[c]) / (hh * ee - he * he));
  return amount.clamp_min(0).unsqueeze(0).unsqueeze(0);
}

torch::Tensor resampled(const torch::Tensor& image, double mpp) {
  namespace F = torch::nn::functional;
  const auto side = [&](int64_t n) {
    return std::max<int64_t>(16, std::llround(static_cast<double>(n) * mpp / kMeasured));
  };
  const std::vector<int64_t> size{side(image.size(2)), side(image.size(3))};
  if (mpp < kMeasured) return torch::adaptive_avg_pool2d(image, size);
  return F::interpolate(
      image, F::InterpolateFuncOptions().size(size).mode(torch::kBilinear).align_corners(false));
}

// The mean of what is left after a grey opening by a square.
double left_after_opening(const torch::Tensor& image, int64_t side) {
  const auto largest = [side](const torch::Tensor& x) {
    return torch::max_pool2d(torch::max_pool2d(x, {side, 1}, {1, 1}), {1, side}, {1, 1});
  };
  const auto eroded = -largest(-image);
  const auto padded = torch::constant_pad_nd(eroded, {side - 1, side - 1, side - 1, side - 1});
  return largest(padded).mean().item<double>();
}

}  // namespace

SlidePhantomMeasurement measure_slide_tile(const torch::Tensor& tile, double mpp) {
  SS_CHECK(tile.dim() == 3 && tile.size(0) == 3 && tile.size(1) >= 16 && tile.size(2) >= 16,
           tile.sizes());
  const auto image = resampled(haematoxylin_of(tile), mpp);
  SlidePhantomMeasurement measured;
  // Granulometry: at which side of the opening square does the stain go away? All amounts grow with
  // the strength of the stain alike, so that the mean side does not change with it.
  const int64_t largest = std::min(kLargestSide, std::min(image.size(2), image.size(3)) - 1);
  double before = left_after_opening(image, kLeastSide - kSideStep), gone = 0, weighted = 0;
  for (int64_t side = kLeastSide; side <= largest; side += kSideStep) {
    const double after = left_after_opening(image, side);
    gone += before - after;
    weighted += static_cast<double>(side) * (before - after);
    before = after;
  }
  if (gone <= 1e-6) return measured;
  // A disc holds a square of 1 / sqrt(2) of its diameter.
  measured.nuclear_size = std::numbers::sqrt2 * kMeasured * weighted / gone;
  measured.stain =
      torch::quantile(image.flatten(), 0.97).item<double>() / nominal_peak(measured.nuclear_size);
  return measured;
}

}  // namespace stylescope
