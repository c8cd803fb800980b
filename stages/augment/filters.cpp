#include "stages/augment/filters.hpp"

#include "io/base/error.hpp"
#include "stages/ops/upfirdn2d.hpp"

#include <algorithm>
#include <vector>

#include <torch/torch.h>

namespace stylescope {
namespace {

using Taps = std::vector<double>;

// Daubechies 1992, "Ten Lectures on Wavelets", section 8.1.1: decomposition low-pass filters.
const Taps& sym2() {
  static const Taps taps{-0.12940952255092145, 0.22414386804185735, 0.836516303737469,
                         0.48296291314469025};
  return taps;
}
const Taps& sym6() {
  static const Taps taps{0.015404109327027373, 0.0034907120842174702, -0.11799011114819057,
                         -0.048311742585633,   0.4910559419267466,    0.787641141030194,
                         0.3379294217276218,   -0.07263752278646252,  -0.021060292512300564,
                         0.04472490177066578,  0.0017677118642428036, -0.007800708325034148};
  return taps;
}

Taps convolve(const Taps& a, const Taps& b) {
  Taps c(a.size() + b.size() - 1, 0.0);
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j) c[i + j] += a[i] * b[j];
  return c;
}

// The filter there and back: without phase, at half the power.
Taps autocorrelation(const Taps& taps) {
  Taps c = convolve(taps, Taps(taps.rbegin(), taps.rend()));
  for (double& x : c) x /= 2;
  return c;
}

Taps spread(const Taps& taps) {
  Taps c(2 * taps.size() - 1, 0.0);
  for (size_t i = 0; i < taps.size(); ++i) c[2 * i] = taps[i];
  return c;
}

}  // namespace

torch::Tensor resampling_filter() {
  static const torch::Tensor filter =
      setup_filter(torch::tensor(sym6(), torch::kFloat64).to(torch::kFloat32));
  return filter;
}

// Octave by octave: what there is moves one octave down, and a new highest band takes its place.
torch::Tensor band_filters() {
  static const torch::Tensor bank = [] {
    Taps mirror = sym2();
    for (size_t i = 1; i < mirror.size(); i += 2) mirror[i] = -mirror[i];
    const Taps low = autocorrelation(sym2()), high = autocorrelation(mirror);
    std::vector<Taps> rows{{1}, {0}, {0}, {0}};
    for (size_t band = 1; band < rows.size(); ++band) {
      for (auto& row : rows) row = convolve(spread(row), low);
      const size_t first = (rows[band].size() - high.size()) / 2;
      for (size_t i = 0; i < high.size(); ++i) rows[band][first + i] += high[i];
    }
    SS_CHECK(rows[0].size() == 2 * kImageFilterReach + 1);
    std::vector<torch::Tensor> tensors;
    for (const auto& row : rows) tensors.push_back(torch::tensor(row, torch::kFloat64));
    return torch::stack(tensors).to(torch::kFloat32);
  }();
  return bank;
}

}  // namespace stylescope
