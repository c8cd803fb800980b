#include "stages/tile/stain.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

namespace stylescope {
namespace {

using Vector = std::array<double, 3>;
using Matrix = std::array<Vector, 3>;  // rows

constexpr double kStained = 0.15;  // optical density, mean of the channels
constexpr double kBare = 0.05;     // below this a pixel is glass
constexpr int64_t kMinPixels = 1000;
constexpr double kMinAngle = 5 * std::numbers::pi / 180;
constexpr double kMinDeviation = 1e-3;
constexpr double kWhite = 8;           // log2 of (v + 1) for white
const double kLog2 = std::log10(2.0);  // densities by log10 to those by log2

// Reinhard et al. 2001, equation 4 (RGB to LMS).
constexpr Matrix kLms{
    {{0.3811, 0.5783, 0.0402}, {0.1967, 0.7244, 0.0782}, {0.0241, 0.1288, 0.8444}}};

// Their equation 6 (log LMS to l-alpha-beta): orthonormal, its inverse is its transpose.
Matrix lab_matrix() {
  const double a = 1 / std::sqrt(3.0), b = 1 / std::sqrt(6.0), c = 1 / std::sqrt(2.0);
  return {{{a, a, a}, {b, b, -2 * b}, {c, -c, 0}}};
}

double dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vector times(const Matrix& m, const Vector& v) {
  return {dot(m[0], v), dot(m[1], v), dot(m[2], v)};
}

Matrix transposed(const Matrix& m) {
  Matrix t;
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j) t[i][j] = m[j][i];
  return t;
}

Matrix times(const Matrix& a, const Matrix& b) {
  const auto columns = transposed(b);
  Matrix out;
  for (size_t i = 0; i < 3; ++i) out[i] = times(columns, a[i]);
  return out;
}

Matrix inverse(const Matrix& m) {
  const auto cross = [](const Vector& a, const Vector& b) {
    return Vector{a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
  };
  const Matrix columns{cross(m[1], m[2]), cross(m[2], m[0]), cross(m[0], m[1])};
  const double determinant = dot(m[0], columns[0]);
  auto out = transposed(columns);
  for (auto& row : out)
    for (auto& x : row) x /= determinant;
  return out;
}

Vector unit(Vector v) {
  const double length = std::sqrt(dot(v, v));
  for (auto& x : v) x /= length;
  return v;
}

// Eigenvectors of a symmetric matrix as rows, largest eigenvalue first (cyclic Jacobi rotations).
Matrix eigenvectors(Matrix m) {
  Matrix v{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  for (int sweep = 0; sweep < 50; ++sweep)
    for (size_t p = 0; p < 2; ++p)
      for (size_t q = p + 1; q < 3; ++q) {
        if (m[p][q] == 0) continue;
        const double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
        const double t = std::copysign(1 / (std::abs(theta) + std::hypot(theta, 1.0)), theta);
        const double c = 1 / std::hypot(t, 1.0), s = t * c;
        Matrix rotation{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
        rotation[p][p] = rotation[q][q] = c;
        rotation[p][q] = -s, rotation[q][p] = s;
        m = times(times(rotation, m), transposed(rotation));
        v = times(rotation, v);
      }
  std::array<size_t, 3> order{0, 1, 2};
  std::ranges::sort(order, [&](size_t a, size_t b) { return m[a][a] > m[b][b]; });
  return {v[order[0]], v[order[1]], v[order[2]]};
}

std::array<double, 256> density_table() {
  std::array<double, 256> table;
  for (int v = 0; v < 256; ++v) table[static_cast<size_t>(v)] = -std::log10((v + 1) / 256.0);
  return table;
}

// Calls `use` with the optical density and the (v + 1) / 256 of every pixel of a mean density above
// `least`; how many there are.
template <class Use>
int64_t for_denser(double least, const uint8_t* pixels, int64_t n, const Use& use) {
  static const auto table = density_table();
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint8_t* p = pixels + 3 * i;
    const Vector density{table[p[0]], table[p[1]], table[p[2]]};
    if (density[0] + density[1] + density[2] <= 3 * least) continue;
    ++found;
    use(density, Vector{(p[0] + 1) / 256.0, (p[1] + 1) / 256.0, (p[2] + 1) / 256.0});
  }
  return found;
}

double percentile(std::vector<float>& values, double share) {
  const auto at = values.begin() + std::llround(share * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, at);
  return static_cast<double>(*at);
}

// Rows that give the concentrations of two stains, by least squares.
std::array<Vector, 2> unmixing(const Vector& a, const Vector& b) {
  const double ab = dot(a, b), scale = 1 / (dot(a, a) * dot(b, b) - ab * ab);
  std::array<Vector, 2> out;
  for (size_t c = 0; c < 3; ++c) {
    out[0][c] = (dot(b, b) * a[c] - ab * b[c]) * scale;
    out[1][c] = (dot(a, a) * b[c] - ab * a[c]) * scale;
  }
  return out;
}

Vector stain_of(const StainFit& fit, size_t which) {
  return {fit.vectors[3 * which], fit.vectors[3 * which + 1], fit.vectors[3 * which + 2]};
}

std::optional<StainFit> fit_macenko(const uint8_t* pixels, int64_t n, std::string& why) {
  Matrix moments{};
  for_denser(kStained, pixels, n, [&](const Vector& d, const Vector&) {
    for (size_t i = 0; i < 3; ++i)
      for (size_t j = 0; j < 3; ++j) moments[i][j] += d[i] * d[j];
  });
  auto axes = eigenvectors(moments);
  if (dot(axes[0], {1, 1, 1}) < 0)
    for (auto& x : axes[0]) x = -x;
  std::vector<float> angles;
  for_denser(kStained, pixels, n, [&](const Vector& d, const Vector&) {
    angles.push_back(static_cast<float>(std::atan2(dot(axes[1], d), dot(axes[0], d))));
  });
  const double low = percentile(angles, 0.01), high = percentile(angles, 0.99);
  if (!(high - low >= kMinAngle)) {
    why = "its stains cannot be told apart (the stain vectors are closer than 5 degrees)";
    return std::nullopt;
  }
  Vector first, second;
  for (size_t c = 0; c < 3; ++c) {
    first[c] = std::cos(low) * axes[0][c] + std::sin(low) * axes[1][c];
    second[c] = std::cos(high) * axes[0][c] + std::sin(high) * axes[1][c];
  }
  if (first[0] < second[0]) std::swap(first, second);
  const auto unmix = unmixing(first, second);
  std::vector<float> amounts[2];
  for_denser(kStained, pixels, n, [&](const Vector& d, const Vector&) {
    for (size_t s : {0, 1}) amounts[s].push_back(static_cast<float>(dot(unmix[s], d)));
  });
  StainFit fit{"macenko",
               {first[0], first[1], first[2], second[0], second[1], second[2]},
               {percentile(amounts[0], 0.99), percentile(amounts[1], 0.99)},
               {},
               {}};
  if (!(fit.concentrations[0] > kMinDeviation && fit.concentrations[1] > kMinDeviation)) {
    why = "one of its two stains is missing (no positive concentration)";
    return std::nullopt;
  }
  return fit;
}

std::optional<StainFit> fit_reinhard(const uint8_t* pixels, int64_t n, std::string& why) {
  const auto lab = lab_matrix();
  Vector sum{}, squares{};
  const auto found = for_denser(kBare, pixels, n, [&](const Vector&, const Vector& rgb) {
    auto lms = times(kLms, rgb);
    for (auto& x : lms) x = std::log10(x);
    const auto v = times(lab, lms);
    for (size_t c = 0; c < 3; ++c) sum[c] += v[c], squares[c] += v[c] * v[c];
  });
  StainFit fit{"reinhard", {}, {}, {}, {}};
  for (size_t c = 0; c < 3; ++c) {
    fit.mean[c] = sum[c] / static_cast<double>(found);
    fit.deviation[c] = std::sqrt(
        std::max(0.0, squares[c] / static_cast<double>(found) - fit.mean[c] * fit.mean[c]));
    if (!(fit.deviation[c] > kMinDeviation)) {
      why = "its pixels are all of one colour (deviation near 0)";
      return std::nullopt;
    }
  }
  return fit;
}

std::array<float, 9> flat(const Matrix& m) {
  std::array<float, 9> out;
  for (size_t i = 0; i < 9; ++i) out[i] = static_cast<float>(m[i / 3][i % 3]);
  return out;
}

StainMap::Steps macenko_steps(const StainFit& from, const StainFit& to) {
  const auto unmix = unmixing(stain_of(from, 0), stain_of(from, 1));
  Matrix matrix{};
  for (size_t s : {0, 1}) {
    const double scale = to.concentrations[s] / from.concentrations[s];
    const auto stain = stain_of(to, s);
    for (size_t i = 0; i < 3; ++i)
      for (size_t j = 0; j < 3; ++j) matrix[i][j] += stain[i] * scale * unmix[s][j];
  }
  StainMap::Steps steps;
  steps.matrix = flat(matrix);
  for (size_t c = 0; c < 3; ++c)
    steps.offset[c] = static_cast<float>(kWhite * (1 - dot(matrix[c], {1, 1, 1})));
  return steps;
}

StainMap::Steps reinhard_steps(const StainFit& from, const StainFit& to) {
  const auto lab = lab_matrix();
  auto scaled = lab;
  Vector shift;
  for (size_t c = 0; c < 3; ++c) {
    const double scale = to.deviation[c] / from.deviation[c];
    for (auto& x : scaled[c]) x *= scale;
    shift[c] = to.mean[c] - scale * from.mean[c];
  }
  const auto offset = times(transposed(lab), shift);
  StainMap::Steps steps;
  steps.mixes = true;
  steps.before = flat(kLms);
  steps.after = flat(inverse(kLms));
  const auto matrix = times(transposed(lab), scaled);
  steps.matrix = flat(matrix);
  for (size_t c = 0; c < 3; ++c)
    steps.offset[c] =
        static_cast<float>(kWhite * (1 - dot(matrix[c], {1, 1, 1})) + offset[c] / kLog2);
  return steps;
}

// Two registers each with AVX2: the long chain of sums wants a second one beside it.
constexpr int64_t kLanes = 16;
using FloatN = float __attribute__((vector_size(64)));
using IntN = int32_t __attribute__((vector_size(64)));
using ByteN = uint8_t __attribute__((vector_size(16)));

// log2(x), x > 0 and normal, to 3e-6: x is 2^e m with m within a factor of sqrt(2) of 1; the series
// of artanh for m.
STYLESCOPE_INLINE void log2_of(FloatN& x) {
  constexpr int32_t kRootHalf = 0x3F3504F3;  // the bits of sqrt(1/2)
  const IntN bits = (IntN)x, exponent = (bits - kRootHalf) >> 23;
  const FloatN mantissa = (FloatN)(bits - (exponent << 23));
  const FloatN s = (mantissa - 1.0F) / (mantissa + 1.0F), s2 = s * s;
  constexpr float k = 2 / std::numbers::ln2_v<float>;
  x = __builtin_convertvector(exponent, FloatN) + s * (k + s2 * (k / 3 + s2 * (k / 5)));
}

// 2^y, -20 <= y <= 20, to a relative 5e-5: the nearest whole power and a Taylor series.
STYLESCOPE_INLINE void exp2_of(FloatN& y) {
  const IntN whole = __builtin_convertvector(y + 20.5F, IntN) - 20;
  constexpr float k = std::numbers::ln2_v<float>;
  const FloatN x = y - __builtin_convertvector(whole, FloatN);
  const FloatN power = (FloatN)((whole + 127) << 23);
  y = power * (1 + x * (k + x * (k * k / 2 + x * (k * k * k / 6 + x * (k * k * k * k / 24)))));
}

STYLESCOPE_INLINE void mix(const std::array<float, 9>& m, FloatN (&v)[3]) {
  const FloatN a = v[0], b = v[1], c = v[2];
  for (size_t i = 0; i < 3; ++i) v[i] = m[3 * i] * a + m[3 * i + 1] * b + m[3 * i + 2] * c;
}

STYLESCOPE_INLINE void clamp(FloatN& x, float low, float high) {
  x = x > low ? x : FloatN{} + low;
  x = x < high ? x : FloatN{} + high;
}

template <bool mixes>
STYLESCOPE_INLINE void map_pixels(const StainMap::Steps& steps, float bare, float slope,
                                  uint8_t* const (&channel)[3], int64_t at, size_t n) {
  FloatN pixel[3], v[3];
  for (int c = 0; c < 3; ++c) {
    ByteN bytes{};
    std::memcpy(&bytes, channel[c] + at, n);
    pixel[c] = __builtin_convertvector(bytes, FloatN);
    v[c] = pixel[c] + 1.0F;
  }
  if (mixes) mix(steps.before, v);
  for (auto& x : v) log2_of(x);
  FloatN share = (bare - (v[0] + v[1] + v[2])) * slope;
  clamp(share, 0, 1);
  mix(steps.matrix, v);
  for (size_t c = 0; c < 3; ++c) {
    v[c] += steps.offset[c];
    clamp(v[c], -20, 20);
    exp2_of(v[c]);
  }
  if (mixes) mix(steps.after, v);
  for (int c = 0; c < 3; ++c) {
    FloatN mapped = v[c] - 1.0F;
    clamp(mapped, 0, 255);
    const FloatN level = pixel[c] + share * (mapped - pixel[c]) + 0.5F;
    const ByteN bytes = __builtin_convertvector(__builtin_convertvector(level, IntN), ByteN);
    std::memcpy(channel[c] + at, &bytes, n);
  }
}

template <bool mixes>
STYLESCOPE_INLINE void map_all(const StainMap::Steps& steps, float bare, float slope,
                               uint8_t* planar, int64_t n) {
  uint8_t* const channel[3] = {planar, planar + n, planar + 2 * n};
  const StainMap::Steps mine = steps;  // the stores of bytes cannot be taken for changes to it
  int64_t at = 0;
  for (; at + kLanes <= n; at += kLanes)
    map_pixels<mixes>(mine, bare, slope, channel, at, static_cast<size_t>(kLanes));
  if (at < n) map_pixels<mixes>(mine, bare, slope, channel, at, static_cast<size_t>(n - at));
}

STYLESCOPE_SIMD void map_stain(const StainMap::Steps& steps, float bare, float slope,
                               uint8_t* planar, int64_t n) {
  if (steps.mixes)
    map_all<true>(steps, bare, slope, planar, n);
  else
    map_all<false>(steps, bare, slope, planar, n);
}

}  // namespace

std::optional<StainFit> fit_stain(const std::string& method, const uint8_t* pixels, int64_t n,
                                  std::string& why) {
  SS_CHECK(method == "macenko" || method == "reinhard", method);
  const auto stained = for_denser(kStained, pixels, n, [](const Vector&, const Vector&) {});
  if (stained < kMinPixels) {
    why = detail::concatenate("it has ", stained, " stained pixels (optical density above ",
                              kStained, "; at least ", kMinPixels, " are needed)");
    return std::nullopt;
  }
  return method == "macenko" ? fit_macenko(pixels, n, why) : fit_reinhard(pixels, n, why);
}

StainFit default_target(const std::string& method) {
  SS_CHECK(method == "macenko" || method == "reinhard", method);
  const double ln10 = std::numbers::ln10;
  if (method == "macenko") {
    const auto h = unit({0.5626, 0.7201, 0.4062}), e = unit({0.2159, 0.8012, 0.5581});
    return {method, {h[0], h[1], h[2], e[0], e[1], e[2]}, {1.9705 / ln10, 1.0308 / ln10}, {}, {}};
  }
  // Published for natural logarithms of RGB in 0..255.
  const double white = std::sqrt(3.0) * std::log(255.0);
  return {method,
          {},
          {},
          {(8.74108109 - white) / ln10, -0.12440419 / ln10, 0.0444982 / ln10},
          {0.6135447 / ln10, 0.10989545 / ln10, 0.0286032 / ln10}};
}

StainMap::StainMap(const StainFit& from, const StainFit& to)
    : steps_(from.method == "macenko" ? macenko_steps(from, to) : reinhard_steps(from, to)) {
  SS_CHECK(from.method == to.method, from.method, " to ", to.method);
}

void StainMap::apply(uint8_t* planar, int64_t n) const {
  map_stain(steps_, static_cast<float>(3 * kWhite - 3 * kBare / kLog2),
            static_cast<float>(kLog2 / (3 * (kStained - kBare))), planar, n);
}

}  // namespace stylescope
