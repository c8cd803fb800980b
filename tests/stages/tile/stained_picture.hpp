#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <vector>

// Made H&E pixels: optical densities of two stains, in the density of stages/tile/stain.hpp.
namespace stylescope::testing_support {

struct Stains {
  std::array<double, 3> haematoxylin, eosin;  // directions of optical density
};

// Published vectors (Ruifrok 2001; Macenko's reference) and two that stray from them.
inline const std::vector<Stains>& known_stains() {
  static const std::vector<Stains> all{{{0.650, 0.704, 0.286}, {0.072, 0.990, 0.105}},
                                       {{0.5626, 0.7201, 0.4062}, {0.2159, 0.8012, 0.5581}},
                                       {{0.644, 0.717, 0.267}, {0.093, 0.954, 0.283}},
                                       {{0.71, 0.66, 0.30}, {0.05, 0.95, 0.30}}};
  return all;
}

inline std::array<double, 3> unit(std::array<double, 3> v) {
  const double length = std::hypot(v[0], v[1], v[2]);
  for (auto& x : v) x /= length;
  return v;
}

inline std::array<uint8_t, 3> stained_pixel(const Stains& stains, double haematoxylin,
                                            double eosin) {
  const auto h = unit(stains.haematoxylin), e = unit(stains.eosin);
  std::array<uint8_t, 3> rgb;
  for (size_t c = 0; c < 3; ++c) {
    const double v = 256 * std::pow(10, -haematoxylin * h[c] - eosin * e[c]) - 1;
    rgb[c] = static_cast<uint8_t>(std::lround(std::max(0.0, v)));
  }
  return rgb;
}

// n interleaved pixels: nuclei, stroma and mixtures, up to the amounts given.
inline std::vector<uint8_t> stained_pixels(const Stains& stains, int64_t n, double most_h,
                                           double most_e, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> share(0, 1);
  std::vector<uint8_t> out;
  for (int64_t i = 0; i < n; ++i) {
    const double kind = share(random), amount = 0.5 + 0.5 * share(random);
    const double h = kind < 0.3 ? amount : kind < 0.6 ? 0 : amount * share(random);
    const double e = kind < 0.3 ? 0 : kind < 0.6 ? amount : amount * share(random);
    const auto rgb = stained_pixel(stains, h * most_h, e * most_e);
    out.insert(out.end(), rgb.begin(), rgb.end());
  }
  return out;
}

inline std::vector<uint8_t> planar_of(const std::vector<uint8_t>& rgb) {
  const size_t n = rgb.size() / 3;
  std::vector<uint8_t> out(rgb.size());
  for (size_t i = 0; i < rgb.size(); ++i) out[i % 3 * n + i / 3] = rgb[i];
  return out;
}

inline std::vector<uint8_t> interleaved_of(const std::vector<uint8_t>& planar) {
  const size_t n = planar.size() / 3;
  std::vector<uint8_t> out(planar.size());
  for (size_t i = 0; i < planar.size(); ++i) out[i] = planar[i % 3 * n + i / 3];
  return out;
}

}  // namespace stylescope::testing_support
