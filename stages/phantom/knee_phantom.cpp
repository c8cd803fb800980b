#include "stages/phantom/knee_phantom.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "stages/phantom/knee_anatomy.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace stylescope {
namespace {

// Uniform in (0, 1), never at an end: the normal score of it is finite.
double uniform(uint64_t seed, std::string_view purpose, int64_t subject, int64_t image = -1) {
  return (static_cast<double>(hash_key({seed, purpose, subject}, image) >> 11) + 0.5) * 0x1.0p-53;
}

double between(double low, double high, double u) { return low + (high - low) * u; }

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

// By bisection: exact enough, and a draw needs it once.
double normal_score(double probability) {
  double low = -9, high = 9;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (normal_cdf(middle) < probability ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

// The place of a width in the distribution over all subjects, 0..1: the classes are halves, and
// within each the distance from the threshold has the distribution function (distance / reach)^2.
double width_rank(double width) {
  const double reach = width < kNarrowJointWidth ? kNarrowJointWidth - kMinJointWidth
                                                 : kMaxJointWidth - kNarrowJointWidth;
  const double distance = (width - kNarrowJointWidth) / reach;
  return std::clamp(0.5 + 0.5 * distance * std::abs(distance), 1e-6, 1 - 1e-6);
}

double smoothstep(double low, double high, double x) {
  const double t = std::clamp((x - low) / (high - low), 0.0, 1.0);
  return t * t * (3 - 2 * t);
}

// 0 outside, 1 inside, for a signed distance (positive inside); the edge is as soft as a
// radiograph's.
double coverage(double distance) { return 1 / (1 + std::exp(-distance / 0.004)); }

double smooth_min(double a, double b, double softness) {
  const double h = std::clamp(0.5 + 0.5 * (b - a) / softness, 0.0, 1.0);
  return b + (a - b) * h - softness * h * (1 - h);
}

double square(double x) { return x * x; }
double bell(double x, double width) { return std::exp(-square(x / width)); }

// Signed distances (positive inside) in the knee's own frame: origin in the middle of the joint
// space, x scaled by the bones' width.
double femur_distance(double x, double y, double joint_width) {
  const double side = std::abs(x);
  const double notch = 0.055 * bell(x, 0.04);
  const double rounding = 0.09 * square(std::max(0.0, (side - 0.18) / 0.10));
  const double below = -joint_width / 2 - notch - rounding - y;
  const double half_width = 0.28 - 0.14 * smoothstep(0.20, 0.36, -y);
  return smooth_min(below, half_width - side, 0.02);
}

double tibia_distance(double x, double y, double joint_width) {
  const double side = std::abs(x);
  const double spines = 0.02 * (bell(x - 0.022, 0.014) + bell(x + 0.022, 0.014));
  const double rounding = 0.05 * square(std::max(0.0, (side - 0.20) / 0.08));
  const double above = y - joint_width / 2 + spines - rounding;
  const double half_width = 0.28 - 0.14 * smoothstep(0.19, 0.38, y);
  return smooth_min(above, half_width - side, 0.02);
}

double fibula_distance(double x, double y) {
  return smooth_min(y - 0.20, 0.036 - std::abs(x - 0.235), 0.02);
}

// Trabecular texture: a few plane waves, mostly upright as the load-bearing trabeculae are.
class Texture {
 public:
  Texture(uint64_t seed, int64_t subject) {
    for (size_t i = 0; i < waves_.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      const double angle = between(-0.5, 0.5, uniform(seed, "phantom.wave_angle", subject, index));
      const double cycles = between(7, 15, uniform(seed, "phantom.wave_cycles", subject, index));
      const double turns = 2 * std::numbers::pi * cycles;
      waves_[i] = {turns * std::cos(angle), turns * std::sin(angle),
                   2 * std::numbers::pi * uniform(seed, "phantom.wave_phase", subject, index)};
    }
  }
  double at(double x, double y) const {
    double sum = 0;
    for (const auto& wave : waves_) sum += std::sin(wave[0] * x + wave[1] * y + wave[2]);
    return 0.014 * sum;
  }

 private:
  std::array<std::array<double, 3>, 6> waves_;
};

// Density at a point of the knee's frame, without the marker.
double knee_density(double x, double y, double joint_width, const Texture& texture) {
  double density = knee::kBackground;
  const double leg = coverage((0.42 - std::abs(x)) / 3);
  density += leg * (knee::kSoftTissue - 0.04 * square(x / 0.42) - density);
  const auto lay = [&](double distance, double opacity) {
    if (distance < -0.05) return;  // covers less than one part in 100,000
    const double inside = opacity * coverage(distance);
    const double cortex = knee::kCortex * std::exp(-std::max(0.0, distance) / knee::kCortexDepth);
    density += inside * (knee::kBone + cortex + texture.at(x, y) - density);
  };
  lay(fibula_distance(x, y), 0.6);
  lay(femur_distance(x, y, joint_width), 1);
  lay(tibia_distance(x, y, joint_width), 1);
  // The kneecap lies before the femur.
  const double cap = 1 - std::hypot(x / 0.11, (y + 0.27) / 0.12);
  return density + 0.03 * coverage(cap / 8);
}

double density_at(double u, double v, const KneeFactors& f, const Texture& texture) {
  const double dx = u - 0.5 - f.shift_x, dy = v - 0.5 - f.shift_y;
  const double x = std::cos(f.tilt) * dx + std::sin(f.tilt) * dy;
  const double y = -std::sin(f.tilt) * dx + std::cos(f.tilt) * dy;
  const double density = knee_density(x / f.bone_width, y, f.joint_width, texture);
  const double marker =
      coverage(knee::kMarkerRadius - std::hypot(u - knee::kMarkerX, v - knee::kMarkerY));
  return density + marker * (between(knee::kMarkerDark, knee::kMarkerBright, f.nuisance) - density);
}

}  // namespace

int64_t KneeFactors::label() const { return joint_width < kNarrowJointWidth ? 1 : 0; }

std::map<std::string, double> KneeFactors::attributes() const {
  return {{"joint_width", joint_width},
          {"nuisance", nuisance},
          {"bone_width", bone_width},
          {"shift_x", shift_x},
          {"shift_y", shift_y},
          {"tilt", tilt},
          {"gain", gain},
          {"offset", offset}};
}

KneeFactors knee_factors(uint64_t seed, int64_t subject, int64_t image,
                         double nuisance_correlation) {
  const auto of_subject = [&](std::string_view purpose, double low, double high) {
    return between(low, high, uniform(seed, purpose, subject));
  };
  const auto of_image = [&](std::string_view purpose, double low, double high) {
    return between(low, high, uniform(seed, purpose, subject, image));
  };
  KneeFactors f;
  const double away = std::sqrt(of_subject("phantom.joint_width", 0, 1));
  const double extreme = subject % 2 == 0 ? kMaxJointWidth : kMinJointWidth;
  f.joint_width = std::clamp(
      between(kNarrowJointWidth, extreme, away) + of_image("phantom.visit_width", -0.004, 0.004),
      kMinJointWidth, kMaxJointWidth);
  const double own = normal_score(of_image("phantom.nuisance", 0, 1));
  const double shared = normal_score(width_rank(f.joint_width));
  const double rho = nuisance_correlation;
  f.nuisance = normal_cdf(rho * shared + std::sqrt(1 - rho * rho) * own);
  f.bone_width = of_subject("phantom.bone_width", 0.93, 1.07);
  f.shift_x =
      of_subject("phantom.shift_x", -0.015, 0.015) + of_image("phantom.visit_x", -0.005, 0.005);
  f.shift_y =
      of_subject("phantom.shift_y", -0.02, 0.02) + of_image("phantom.visit_y", -0.005, 0.005);
  f.tilt =
      of_subject("phantom.tilt", -0.045, 0.045) + of_image("phantom.visit_tilt", -0.015, 0.015);
  f.gain = of_subject("phantom.gain", 0.92, 1.08) * of_image("phantom.visit_gain", 0.96, 1.04);
  f.offset = of_image("phantom.offset", -0.03, 0.03);
  return f;
}

torch::Tensor draw_knee(const KneeFactors& factors, int64_t size, uint64_t seed, int64_t subject,
                        int64_t image) {
  SS_CHECK(size >= 16 && size <= 1024, "size is ", size);
  const Texture texture(seed, subject);
  const auto noise =
      keyed_normal({seed, "phantom.noise", subject}, {image}, {size, size}, torch::kFloat64)
          .squeeze(0);
  const auto grain = noise.accessor<double, 2>();
  auto pixels = torch::empty({1, size, size}, torch::kUInt8);
  auto out = pixels.accessor<uint8_t, 3>();
  // Each pixel is the mean over points as fine as in a picture of at least 128 rows: small pictures
  // are area averages.
  const int64_t fine = std::max<int64_t>(2, 128 / size);
  const double step = 1.0 / static_cast<double>(size * fine);
  for (int64_t row = 0; row < size; ++row) {
    for (int64_t column = 0; column < size; ++column) {
      double sum = 0;
      for (int64_t i = 0; i < fine * fine; ++i) {
        const double u = (static_cast<double>(column * fine + i % fine) + 0.5) * step;
        const double v = (static_cast<double>(row * fine + i / fine) + 0.5) * step;
        sum += density_at(u, v, factors, texture);
      }
      const double density = sum / static_cast<double>(fine * fine);
      const double value = factors.gain * density + factors.offset + 0.02 * grain[row][column];
      out[0][row][column] = static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 1.0) * 255));
    }
  }
  return pixels;
}

}  // namespace stylescope
