#include "stages/phantom/knee_measurement.hpp"

#include "io/base/error.hpp"
#include "stages/phantom/knee_anatomy.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

// The columns through the condyles, on either side of the joint's centre, clear of the notch and of
// the rounded rims.
constexpr double kInner = 0.075;
constexpr double kOuter = 0.165;
// Rows around the joint's middle that are integrated, and beyond which bone alone is seen.
constexpr double kReach = 0.145;
constexpr double kBoneReach = 0.22;

torch::Tensor grey(const torch::Tensor& image) {
  SS_CHECK(image.dim() == 3 && image.size(1) == image.size(2) && image.size(1) >= 16,
           image.sizes());
  return image.to(torch::kCPU, torch::kFloat64).mean(0);
}

// Share of each of `n` pixels that lies in [low, high), the picture spanning 0..1.
torch::Tensor overlap(int64_t n, double low, double high) {
  const auto left = torch::arange(n, torch::kFloat64) / static_cast<double>(n);
  const auto right = left + 1.0 / static_cast<double>(n);
  return (right.clamp_max(high) - left.clamp_min(low)).clamp_min(0) * static_cast<double>(n);
}

double weighted_mean(const torch::Tensor& values, const torch::Tensor& weights) {
  return ((values * weights).sum() / weights.sum()).item<double>();
}

// Soft tissue beside the femur's shaft on the right and beside the tibia's on the left: far from
// the marker (upper left) and from the fibula (lower right), so that neither leaks into the
// exposure.
double soft_tissue(const torch::Tensor& pixels) {
  const int64_t n = pixels.size(0);
  const double near = 0.235, far = 0.32, edge = 0.02, depth = 0.13;
  const auto upper_right = overlap(n, edge, depth).outer(overlap(n, 0.5 + near, 0.5 + far));
  const auto lower_left = overlap(n, 1 - depth, 1 - edge).outer(overlap(n, 0.5 - far, 0.5 - near));
  return weighted_mean(pixels, upper_right + lower_left);
}

// Brightness along the rows, averaged over the condyles' columns.
torch::Tensor condyle_profile(const torch::Tensor& pixels) {
  const int64_t n = pixels.size(0);
  const auto columns =
      overlap(n, 0.5 - kOuter, 0.5 - kInner) + overlap(n, 0.5 + kInner, 0.5 + kOuter);
  return pixels.matmul(columns / columns.sum());
}

// The row of the joint's middle: the centre of the darkness between the bones. A second pass, with
// the window around the first answer, takes away what a window off the joint cuts off.
double joint_row(const torch::Tensor& profile) {
  const int64_t n = profile.size(0);
  const auto rows = (torch::arange(n, torch::kFloat64) + 0.5) / static_cast<double>(n);
  double middle = 0.5;
  for (int pass = 0; pass < 2; ++pass) {
    const auto window = overlap(n, middle - 0.17, middle + 0.17);
    const double bright = weighted_mean(profile, overlap(n, middle - 0.24, middle - kReach) +
                                                     overlap(n, middle + kReach, middle + 0.24));
    const auto darkness = (bright - profile).clamp_min(0) * window;
    const double total = darkness.sum().item<double>();
    if (total <= 0) return 0.5;
    middle = std::clamp(weighted_mean(rows, darkness), 0.42, 0.58);
  }
  return middle;
}

struct Exposure {
  double soft;  // brightness of soft tissue
  double span;  // from soft tissue to bone, at least one grey level
};

Exposure exposure_of(const torch::Tensor& pixels, const torch::Tensor& profile, double middle) {
  const int64_t n = pixels.size(0);
  const double bone = weighted_mean(profile, overlap(n, middle - kBoneReach, middle - kReach) +
                                                 overlap(n, middle + kReach, middle + kBoneReach));
  const double soft = soft_tissue(pixels);
  return {soft, std::max(1.0, bone - soft)};
}

}  // namespace

double measure_joint_width(const torch::Tensor& image) {
  const auto pixels = grey(image);
  const auto profile = condyle_profile(pixels);
  const double middle = joint_row(profile);
  const auto [soft, span] = exposure_of(pixels, profile, middle);
  const auto window = overlap(pixels.size(0), middle - kReach, middle + kReach);
  const double darkness = ((soft + span - profile) * window).sum().item<double>() /
                          (span * static_cast<double>(pixels.size(0)));
  // Two cortical edges are brighter than the bone and take this much away from the darkness.
  const double cortex = 2 * knee::kCortex * knee::kCortexDepth / (knee::kBone - knee::kSoftTissue);
  return darkness + cortex;
}

double measure_nuisance(const torch::Tensor& image) {
  const auto pixels = grey(image);
  const auto profile = condyle_profile(pixels);
  const auto [soft, span] = exposure_of(pixels, profile, joint_row(profile));
  const int64_t n = pixels.size(0);
  // The disc's core: a pixel on its rim also shows what lies beside it.
  const double core = 0.65 * knee::kMarkerRadius;
  const auto rows = overlap(n, knee::kMarkerY - core, knee::kMarkerY + core);
  const auto columns = overlap(n, knee::kMarkerX - core, knee::kMarkerX + core);
  const double disc = weighted_mean(pixels, rows.outer(columns));
  const double density =
      knee::kSoftTissue + (disc - soft) / span * (knee::kBone - knee::kSoftTissue);
  return (density - knee::kMarkerDark) / (knee::kMarkerBright - knee::kMarkerDark);
}

}  // namespace stylescope
