#include "stages/augment/plan.hpp"

#include "io/base/error.hpp"
#include "stages/augment/filters.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace stylescope {
namespace {

// Strengths of the operations (Karras et al. 2020, appendix B).
constexpr double kShift = 0.125;  // of the side: the most of whole-pixel, one deviation of free
constexpr double kScaleDeviation = 0.2, kAnisoDeviation = 0.2;  // in powers of two
constexpr double kBrightnessDeviation = 0.2;
constexpr double kContrastDeviation = 0.5, kSaturationDeviation = 1;  // in powers of two
constexpr double kBandDeviation = 1;                                  // in powers of two
constexpr double kNoiseDeviation = 0.1;
constexpr double kCutoutSide = 0.5;

AffineMap stretch(double x, double y) { return {x, 0, 0, 0, y, 0}; }
AffineMap shift(double x, double y) { return {1, 0, x, 0, 1, y}; }
AffineMap turn(double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {c, -s, 0, s, c, 0};
}
// Exact, so that a margin that needs whole pixels gets no rounded-up one.
AffineMap quarter_turns(int count) {
  constexpr int cosines[] = {1, 0, -1, 0}, sines[] = {0, 1, 0, -1};
  const double c = cosines[count], s = sines[count];
  return {c, -s, 0, s, c, 0};
}

double symmetric(double uniform) { return 2 * uniform - 1; }

// Each operation's inverse is applied last of all so far, since the map goes from the result to the
// image.
AffineMap inverse_map(const AugmentOperations& o, const ImageDraws& d, double p,
                      const ImageShape& shape) {
  const auto width = static_cast<double>(shape.width), height = static_cast<double>(shape.height);
  AffineMap map;
  if (d.xflip.gate < o.xflip * p) map = map * stretch(1 - 2 * std::floor(2 * d.xflip.value), 1);
  if (d.rotate90.gate < o.rotate90 * p)
    map = map * quarter_turns(static_cast<int>(std::floor(4 * d.rotate90.value)));
  if (d.xint.gate < o.xint * p)
    map = map * shift(-std::nearbyint(symmetric(d.xint.x) * kShift * width),
                      -std::nearbyint(symmetric(d.xint.y) * kShift * height));
  if (d.scale.gate < o.scale * p) {
    const double s = std::exp2(d.scale.value * kScaleDeviation);
    map = map * stretch(1 / s, 1 / s);
  }
  // One turn before and one after stretching: one of them or both with probability p.
  const double p_turn = 1 - std::sqrt(std::clamp(1 - o.rotate * p, 0.0, 1.0));
  if (d.rotate_before.gate < p_turn)
    map = map * turn(symmetric(d.rotate_before.value) * std::numbers::pi);
  if (d.aniso.gate < o.aniso * p) {
    const double a = std::exp2(d.aniso.value * kAnisoDeviation);
    map = map * stretch(1 / a, a);
  }
  if (d.rotate_after.gate < p_turn)
    map = map * turn(symmetric(d.rotate_after.value) * std::numbers::pi);
  if (d.xfrac.gate < o.xfrac * p)
    map = map * shift(-d.xfrac.x * kShift * width, -d.xfrac.y * kShift * height);
  return map;
}

using Matrix3 = std::array<std::array<double, 3>, 3>;
using Colour = std::array<std::array<double, 4>, 3>;

// Along the axis of greys v = (1,1,1)/sqrt(3): along * v v^T + across * (I - v v^T).
Matrix3 along_and_across(double along, double across) {
  Matrix3 m;
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j) m[i][j] = along / 3 + across * ((i == j ? 1.0 : 0.0) - 1.0 / 3);
  return m;
}

// A turn about the axis of greys (Rodrigues).
Matrix3 hue_turn(double angle) {
  const double c = std::cos(angle), s = std::sin(angle) / std::numbers::sqrt3;
  auto m = along_and_across(1, c);
  for (size_t i = 0; i < 3; ++i) {
    m[i][(i + 1) % 3] -= s;
    m[i][(i + 2) % 3] += s;
  }
  return m;
}

void transform(const Matrix3& m, Colour& colour) {
  const Colour before = colour;
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 4; ++j)
      colour[i][j] = m[i][0] * before[0][j] + m[i][1] * before[1][j] + m[i][2] * before[2][j];
}

// A grey image takes part as three equal channels, of whose results it gets the mean.
void reduce_to_grey(Colour& colour) {
  double factor = 0, offset = 0;
  for (const auto& row : colour) {
    factor += (row[0] + row[1] + row[2]) / 3;
    offset += row[3] / 3;
  }
  colour = {{{factor, 0, 0, offset}, {0, 0, 0, 0}, {0, 0, 0, 0}}};
}

Colour colour_map(const AugmentOperations& o, const ImageDraws& d, double p, int64_t channels) {
  Colour colour = ImageChange{}.colour;
  if (d.brightness.gate < o.brightness * p)
    for (auto& row : colour) row[3] += d.brightness.value * kBrightnessDeviation;
  if (d.contrast.gate < o.contrast * p) {
    const double factor = std::exp2(d.contrast.value * kContrastDeviation);
    for (auto& row : colour)
      for (double& x : row) x *= factor;
  }
  if (d.lumaflip.gate < o.lumaflip * p && d.lumaflip.value >= 0.5)
    transform(along_and_across(-1, 1), colour);
  if (channels == 1) {
    reduce_to_grey(colour);
    return colour;
  }
  if (d.hue.gate < o.hue * p)
    transform(hue_turn(symmetric(d.hue.value) * std::numbers::pi), colour);
  if (d.saturation.gate < o.saturation * p)
    transform(along_and_across(1, std::exp2(d.saturation.value * kSaturationDeviation)), colour);
  return colour;
}

// Each band's change is made up for in all of them, so that an image with the usual 1/f spectrum
// keeps its power.
std::array<double, 4> band_gains(const AugmentOperations& o, const ImageDraws& d, double p) {
  constexpr std::array<double, 4> power{10.0 / 13, 1.0 / 13, 1.0 / 13, 1.0 / 13};
  std::array<double, 4> gains{1, 1, 1, 1};
  for (size_t band = 0; band < 4; ++band) {
    if (d.imgfilter[band].gate >= o.imgfilter * p) continue;
    std::array<double, 4> t{1, 1, 1, 1};
    t[band] = std::exp2(d.imgfilter[band].value * kBandDeviation);
    double sum = 0;
    for (size_t j = 0; j < 4; ++j) sum += power[j] * t[j] * t[j];
    for (size_t j = 0; j < 4; ++j) gains[j] *= t[j] / std::sqrt(sum);
  }
  return gains;
}

// How far the corners of all results lie outside the images, and what the resampling filter reads
// beyond; at most what a reflection can give.
ReflectedMargin margin_of(const std::vector<ImageChange>& images, const ImageShape& shape) {
  const double cx = static_cast<double>(shape.width - 1) / 2;
  const double cy = static_cast<double>(shape.height - 1) / 2;
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  double left = kNone, right = kNone, above = kNone, below = kNone;
  for (const auto& image : images) {
    const auto& m = image.inverse;
    for (const double x : {-cx, cx})
      for (const double y : {-cy, cy}) {
        const double px = m.xx * x + m.xy * y + m.x0, py = m.yx * x + m.yy * y + m.y0;
        left = std::max(left, -px - cx);
        right = std::max(right, px - cx);
        above = std::max(above, -py - cy);
        below = std::max(below, py - cy);
      }
  }
  const auto pixels = [](double overshoot, int64_t side) {
    const double wanted = std::ceil(overshoot + 2 * kResamplingReach);
    return static_cast<int64_t>(std::clamp(wanted, 0.0, static_cast<double>(side - 1)));
  };
  return {pixels(left, shape.width), pixels(right, shape.width), pixels(above, shape.height),
          pixels(below, shape.height)};
}

}  // namespace

AffineMap operator*(const AffineMap& a, const AffineMap& b) {
  return {a.xx * b.xx + a.xy * b.yx, a.xx * b.xy + a.xy * b.yy, a.xx * b.x0 + a.xy * b.y0 + a.x0,
          a.yx * b.xx + a.yy * b.yx, a.yx * b.xy + a.yy * b.yy, a.yx * b.x0 + a.yy * b.y0 + a.y0};
}

AugmentPlan AugmentPlan::pick(at::ArrayRef<int64_t> samples) const {
  AugmentPlan picked = *this;
  picked.images.clear();
  for (const int64_t sample : samples)
    picked.images.push_back(images.at(static_cast<size_t>(sample)));
  return picked;
}

AugmentPlan make_plan(const AugmentOperations& operations, const std::vector<ImageDraws>& draws,
                      double p, const ImageShape& shape) {
  AugmentPlan plan;
  plan.shape = shape;
  plan.geometry = operations.geometry();
  plan.colour = operations.colour();
  plan.filter = operations.imgfilter > 0;
  plan.noise = operations.noise > 0;
  plan.cutout = operations.cutout > 0;
  validate(!plan.colour || shape.channels == 1 || shape.channels == 3,
           "augmentation: colour changes need images of 1 or 3 channels (these have ",
           shape.channels, "); choose the pipe bg");
  validate(!plan.filter || std::min(shape.height, shape.width) > kImageFilterReach,
           "augmentation: the image filter needs images of more than ", kImageFilterReach,
           " pixels a side (these have ", shape.height, " x ", shape.width,
           "); choose the pipe bgc");
  for (const auto& d : draws) {
    ImageChange change;
    change.inverse = inverse_map(operations, d, p, shape);
    if (plan.colour) change.colour = colour_map(operations, d, p, shape.channels);
    change.gains = band_gains(operations, d, p);
    if (d.noise.gate < operations.noise * p)
      change.noise = std::abs(d.noise.value) * kNoiseDeviation;
    if (d.cutout.gate < operations.cutout * p)
      change.cutout = {d.cutout.x, d.cutout.y, kCutoutSide};
    plan.images.push_back(change);
  }
  if (plan.geometry) plan.margin = margin_of(plan.images, shape);
  return plan;
}

}  // namespace stylescope
