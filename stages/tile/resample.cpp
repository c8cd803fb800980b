#include "stages/tile/resample.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

namespace stylescope {
namespace {

// Eight rows are worked on side by side, one a lane, so that no step needs a gather however the
// columns fall: rows are summed (across the picture), turned, summed (down the turned picture), and
// turned back.
using Float8 = float __attribute__((vector_size(32)));
using Int8 = int32_t __attribute__((vector_size(32)));
using Byte8 = uint8_t __attribute__((vector_size(8)));
constexpr int64_t kRows = 8;
constexpr int64_t kColumns = 32;      // of the tile, made in one go
constexpr int64_t kWord = 4;          // columns whose bytes share a lane of Int8
constexpr double kWhole = 1e-6;       // nearer than this to a whole pixel counts as whole
constexpr int64_t kLanczosLobes = 3;  // "a"

double snap(double x) {
  const double whole = std::round(x);
  return std::abs(x - whole) < kWhole ? whole : x;
}

double step_of(const ResampleAxis& axis) {
  return snap(axis.length - static_cast<double>(axis.pixels)) == 0
             ? 1
             : axis.length / static_cast<double>(axis.pixels);
}

// sin(x) for |x| <= pi, to 1e-13. Not the C library's: that one's last bit depends on the CPU.
double sine(double x) {
  static constexpr std::array<double, 9> kShrink{1 / (2. * 3),   1 / (4. * 5),   1 / (6. * 7),
                                                 1 / (8. * 9),   1 / (10. * 11), 1 / (12. * 13),
                                                 1 / (14. * 15), 1 / (16. * 17), 1 / (18. * 19)};
  const double a =
      std::abs(x) > std::numbers::pi / 2 ? std::copysign(std::numbers::pi - std::abs(x), x) : x;
  double sum = 0;
  for (size_t i = kShrink.size(); i-- > 0;) sum = (1 - sum) * (a * a * kShrink[i]);
  return a * (1 - sum);
}

double lanczos(double t) {
  if (std::abs(t) < 1e-9) return 1;
  if (std::abs(t) >= kLanczosLobes) return 0;
  const double third = t * std::numbers::pi / kLanczosLobes, s = sine(third);
  const double s3 = s * (3 - 4 * s * s);  // sin(3 x): the sinc beside its window
  return s3 * s / (kLanczosLobes * third * third);
}

// The source pixels that one tile pixel is made of, within the source's own limits.
class Kernel {
 public:
  Kernel(const ResampleAxis& axis, ResampleFilter filter)
      : axis_(axis),
        step_(step_of(axis)),
        lanczos_(filter == ResampleFilter::lanczos),
        box_(!lanczos_ && step_ >= 1),
        stretch_(lanczos_ ? std::max(step_, 1.0) : 1),
        radius_(lanczos_ ? kLanczosLobes * stretch_ : 1) {}

  SourceSpan span(int64_t o) const {
    const double low = box_ ? edge(o) : middle(o) - radius_;
    const double high = box_ ? edge(o + 1) : middle(o) + radius_;
    SourceSpan s{static_cast<int64_t>(std::floor(low)) + (box_ ? 0 : 1),
                 static_cast<int64_t>(std::ceil(high))};
    s = {std::max(s.begin, axis_.source_begin), std::min(s.end, axis_.source_end)};
    if (beyond(o) || s.begin >= s.end) {
      s.begin = std::clamp(static_cast<int64_t>(std::floor(middle(o) + 0.5)), axis_.source_begin,
                           axis_.source_end - 1);
      s.end = s.begin + 1;
    }
    return s;
  }

  // Of the pixels of span(o), summing to 1.
  void weights(int64_t o, SourceSpan s, std::vector<double>& out) const {
    const double low = box_ ? edge(o) : middle(o), high = box_ ? edge(o + 1) : 0;
    out.resize(static_cast<size_t>(s.end - s.begin));
    double sum = 0;
    for (int64_t j = s.begin; j < s.end; ++j) {
      const auto x = static_cast<double>(j);
      const double w = s.end - s.begin == 1 ? 1
                       : box_               ? std::min(high, x + 1) - std::max(low, x)
                       : lanczos_           ? lanczos((x - low) / stretch_)
                                            : 1 - std::abs(x - low);
      sum += out[static_cast<size_t>(j - s.begin)] = w;
    }
    for (auto& w : out) w /= sum;
  }

 private:
  double edge(int64_t o) const { return snap(axis_.begin + static_cast<double>(o) * step_); }
  // On the scale where pixel j lies at j.
  double middle(int64_t o) const {
    return snap(axis_.begin + (static_cast<double>(o) + 0.5) * step_ - 0.5);
  }
  // Outside of the source there is nothing to interpolate.
  bool beyond(int64_t o) const {
    return !box_ && (middle(o) < static_cast<double>(axis_.source_begin) - 0.5 ||
                     middle(o) > static_cast<double>(axis_.source_end) - 0.5);
  }

  ResampleAxis axis_;
  double step_;
  bool lanczos_, box_;
  double stretch_, radius_;
};

// The weighted sums of one axis. `group` neighbours have the same number of taps (`reach`), those
// in want of some are given weights of 0; the last group is filled up with copies.
struct Taps {
  int64_t widest = 0;
  std::vector<int64_t> first;  // from the span's begin
  std::vector<int64_t> reach;  // of each group
  std::vector<float> weights;  // (outputs, widest)
  const float* of(int64_t o) const { return weights.data() + o * widest; }
};

Taps make_taps(const ResampleAxis& axis, ResampleFilter filter, int64_t multiple, int64_t group) {
  const Kernel kernel(axis, filter);
  const auto span = source_span(axis, filter);
  const int64_t outputs = (axis.pixels + multiple - 1) / multiple * multiple;
  Taps taps;
  taps.first.resize(static_cast<size_t>(outputs));
  taps.reach.assign(static_cast<size_t>(outputs / group), 1);
  std::vector<SourceSpan> spans(static_cast<size_t>(outputs));
  for (int64_t o = 0; o < outputs; ++o) {
    const auto s = spans[static_cast<size_t>(o)] = kernel.span(std::min(o, axis.pixels - 1));
    auto& reach = taps.reach[static_cast<size_t>(o / group)];
    reach = std::max(reach, s.end - s.begin);
    taps.widest = std::max(taps.widest, reach);
  }
  taps.weights.assign(static_cast<size_t>(outputs * taps.widest), 0);
  std::vector<double> weights;
  for (int64_t o = 0; o < outputs; ++o) {
    const auto s = spans[static_cast<size_t>(o)];
    const int64_t first = std::min(s.begin, span.end - taps.reach[static_cast<size_t>(o / group)]);
    taps.first[static_cast<size_t>(o)] = first - span.begin;
    kernel.weights(std::min(o, axis.pixels - 1), s, weights);
    std::transform(weights.begin(), weights.end(),
                   taps.weights.begin() + (o * taps.widest + s.begin - first),
                   [](double w) { return static_cast<float>(w); });
  }
  return taps;
}

// An 8 x 8 matrix of floats or int32, a row a vector.
template <class V>
STYLESCOPE_INLINE void transpose(V (&v)[8]) {
  V a[8], b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = __builtin_shufflevector(v[i], v[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    a[i + 1] = __builtin_shufflevector(v[i], v[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; ++j) {
      b[i + 2 * j] = __builtin_shufflevector(a[i + j], a[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      b[i + 2 * j + 1] =
          __builtin_shufflevector(a[i + j], a[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; ++i) {
    v[i] = __builtin_shufflevector(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    v[i + 4] = __builtin_shufflevector(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

struct Band {
  const uint8_t* rgb;  // the span's first pixel
  int64_t stride;
  int64_t samples;  // 3 x source columns
  const Taps *down, *across;
  int64_t width, height;  // of the tile
  float* summed;          // (8, samples)
  float* turned;          // (samples, 8)
  uint8_t* planar;
};

// out[i] (+)= sum over k of weight[k] * source[k][i] for i in [at, at + n), n <= 8.
template <int K, bool add>
STYLESCOPE_INLINE void sum_samples(const uint8_t* const (&source)[K], const float* weight,
                                   float* out, int64_t at, size_t n) {
  Float8 sum{};
  if constexpr (add) std::memcpy(&sum, out + at, n * sizeof(float));
  for (int k = 0; k < K; ++k) {
    Byte8 bytes{};
    std::memcpy(&bytes, source[k] + at, n);
    sum += weight[k] * __builtin_convertvector(bytes, Float8);
  }
  std::memcpy(out + at, &sum, n * sizeof(float));
}

template <int K, bool add>
STYLESCOPE_INLINE void sum_row(const uint8_t* rgb, int64_t stride, const float* weights,
                               int64_t samples, float* out) {
  const uint8_t* source[K];
  float weight[K];
  for (int k = 0; k < K; ++k) source[k] = rgb + k * stride, weight[k] = weights[k];
  int64_t at = 0;
  for (; at + 8 <= samples; at += 8) sum_samples<K, add>(source, weight, out, at, 8);
  if (at < samples) sum_samples<K, add>(source, weight, out, at, static_cast<size_t>(samples - at));
}

// At most four source rows at a time: more at once would be too many streams for the prefetchers.
template <bool add>
STYLESCOPE_INLINE void sum_rows(const uint8_t* rgb, int64_t stride, const float* weights,
                                int64_t taps, int64_t samples, float* out) {
  switch (taps) {
    case 1:
      return sum_row<1, add>(rgb, stride, weights, samples, out);
    case 2:
      return sum_row<2, add>(rgb, stride, weights, samples, out);
    case 3:
      return sum_row<3, add>(rgb, stride, weights, samples, out);
    default:
      return sum_row<4, add>(rgb, stride, weights, samples, out);
  }
}

// Tile columns x .. x+3 of eight rows and three channels: a lane of words[c] is a row's 4 bytes.
template <int K>
STYLESCOPE_INLINE void sum_columns(const Band& band, int64_t x, int64_t taps, Int8 (&words)[3]) {
  for (int64_t i = 0; i < kWord; ++i) {
    const float* source = band.turned + band.across->first[static_cast<size_t>(x + i)] * 3 * kRows;
    const float* weight = band.across->of(x + i);
    Float8 sum[3] = {};
    for (int64_t k = 0; k < (K > 0 ? K : taps); ++k)
      for (int c = 0; c < 3; ++c) {
        Float8 value;
        std::memcpy(&value, source + (3 * k + c) * kRows, sizeof value);
        sum[c] += weight[k] * value;
      }
    for (int c = 0; c < 3; ++c) {
      Int8 level = __builtin_convertvector(sum[c] + 0.5F, Int8);
      level = level < 0 ? Int8{} : level;
      level = level > 255 ? Int8{} + 255 : level;
      words[c] = i == 0 ? level : words[c] | level << static_cast<int32_t>(8 * i);
    }
  }
}

// The number of taps as a constant where there are few.
STYLESCOPE_INLINE void sum_columns_of(const Band& band, int64_t x, int64_t taps, Int8 (&words)[3]) {
  switch (taps) {
    case 1:
      return sum_columns<1>(band, x, taps, words);
    case 2:
      return sum_columns<2>(band, x, taps, words);
    case 3:
      return sum_columns<3>(band, x, taps, words);
    default:
      return sum_columns<0>(band, x, taps, words);
  }
}

STYLESCOPE_INLINE void turn(const float* summed, int64_t samples, int64_t at, size_t n,
                            float* turned) {
  Float8 block[kRows] = {};
  for (int64_t r = 0; r < kRows; ++r)
    std::memcpy(&block[r], summed + r * samples + at, n * sizeof(float));
  transpose(block);
  std::memcpy(turned + at * kRows, block, n * sizeof(Float8));
}

STYLESCOPE_SIMD void resample_band(const Band& band, int64_t y) {
  const int64_t taps = band.down->reach[static_cast<size_t>(y / kRows)];
  for (int64_t r = 0; r < kRows; ++r) {
    const uint8_t* rgb = band.rgb + band.down->first[static_cast<size_t>(y + r)] * band.stride;
    const float* weights = band.down->of(y + r);
    float* out = band.summed + r * band.samples;
    sum_rows<false>(rgb, band.stride, weights, taps, band.samples, out);
    for (int64_t k = 4; k < taps; k += 4)
      sum_rows<true>(rgb + k * band.stride, band.stride, weights + k, taps - k, band.samples, out);
  }
  int64_t at = 0;
  for (; at + 8 <= band.samples; at += 8) turn(band.summed, band.samples, at, 8, band.turned);
  if (at < band.samples)
    turn(band.summed, band.samples, at, static_cast<size_t>(band.samples - at), band.turned);
  const int64_t rows = std::min(kRows, band.height - y);
  for (int64_t x = 0; x < band.width; x += kColumns) {
    Int8 words[3][8];
    for (int64_t g = 0; g < kColumns / kWord; ++g) {
      const int64_t at = x + g * kWord;
      Int8 word[3];
      sum_columns_of(band, at, band.across->reach[static_cast<size_t>(at / kWord)], word);
      for (int c = 0; c < 3; ++c) words[c][g] = word[c];
    }
    const auto n = static_cast<size_t>(std::min(kColumns, band.width - x));
    for (int64_t c = 0; c < 3; ++c) {
      transpose(words[c]);
      for (int64_t r = 0; r < rows; ++r)
        std::memcpy(band.planar + (c * band.height + y + r) * band.width + x, &words[c][r], n);
    }
  }
}

STYLESCOPE_SIMD void split_row(const uint8_t* __restrict rgb, int64_t n, uint8_t* __restrict red,
                               uint8_t* __restrict green, uint8_t* __restrict blue) {
  for (int64_t i = 0; i < n; ++i) {
    red[i] = rgb[3 * i];
    green[i] = rgb[3 * i + 1];
    blue[i] = rgb[3 * i + 2];
  }
}

bool copies(const ResampleAxis& axis) {
  return step_of(axis) == 1 && snap(axis.begin) == std::round(axis.begin) &&
         axis.source_begin <= std::llround(axis.begin) &&
         std::llround(axis.begin) + axis.pixels <= axis.source_end;
}

}  // namespace

ResampleFilter resample_filter(const std::string& name) {
  validate(name == "area" || name == "lanczos", "filter: '", name,
           "' (area and lanczos are the choices); use one of them");
  return name == "area" ? ResampleFilter::area : ResampleFilter::lanczos;
}

SourceSpan source_span(const ResampleAxis& axis, ResampleFilter filter) {
  SS_CHECK(axis.pixels > 0 && axis.length > 0 && axis.source_begin < axis.source_end);
  if (copies(axis)) {
    const int64_t begin = std::llround(axis.begin);
    return {begin, begin + axis.pixels};
  }
  const Kernel kernel(axis, filter);
  return {kernel.span(0).begin, kernel.span(axis.pixels - 1).end};
}

void to_planar(const uint8_t* rgb, int64_t stride, int64_t width, int64_t height, uint8_t* planar) {
  for (int64_t y = 0; y < height; ++y) {
    uint8_t* row = planar + y * width;
    split_row(rgb + y * stride, width, row, row + height * width, row + 2 * height * width);
  }
}

void resample_tile(const uint8_t* rgb, int64_t stride, int64_t source_x, int64_t source_y,
                   const ResampleAxis& x, const ResampleAxis& y, ResampleFilter filter,
                   uint8_t* planar) {
  const auto columns = source_span(x, filter), rows = source_span(y, filter);
  SS_CHECK(source_x <= columns.begin && source_y <= rows.begin, "the source begins at ", source_x,
           ", ", source_y, ", the window at ", columns.begin, ", ", rows.begin);
  rgb += (rows.begin - source_y) * stride + (columns.begin - source_x) * 3;
  if (copies(x) && copies(y)) return to_planar(rgb, stride, x.pixels, y.pixels, planar);
  const Taps down = make_taps(y, filter, kRows, kRows),
             across = make_taps(x, filter, kColumns, kWord);
  thread_local std::vector<float> scratch;
  const int64_t samples = (columns.end - columns.begin) * 3;
  scratch.resize(static_cast<size_t>(2 * samples * kRows));
  const Band band{rgb,      stride,         samples,
                  &down,    &across,        x.pixels,
                  y.pixels, scratch.data(), scratch.data() + samples * kRows,
                  planar};
  for (int64_t at = 0; at < y.pixels; at += kRows) resample_band(band, at);
}

}  // namespace stylescope
