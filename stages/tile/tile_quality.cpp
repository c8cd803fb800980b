#include "stages/tile/tile_quality.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"
#include "stages/tile/ink.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

namespace stylescope {
namespace {

constexpr int64_t kLanes = 16;
using Byte16 = uint8_t __attribute__((vector_size(16)));
using Short16 = int16_t __attribute__((vector_size(32)));
using UShort16 = uint16_t __attribute__((vector_size(32)));
using Int16 = int32_t __attribute__((vector_size(64)));
// Lanes of Int16 hold a row's sums of squares (at most 1020 each) and of Short16 its counts.
constexpr int64_t kMaxWidth = 32768;

struct Counts {
  int64_t white = 0, black = 0, pen = 0;
};
struct Sums {
  int64_t first = 0, second = 0;
};

template <class V>
STYLESCOPE_INLINE int64_t total(const V& v) {
  int64_t sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

struct Row {
  const uint8_t *red, *green, *blue;
  int64_t width;
  int16_t white, black;  // levels
};

struct LaneCounts {
  Short16 white{}, black{}, pen{};
};

// Pixels [at, at + n), n <= 16; `there` is -1 in the lanes of those. luma: ITU-R BT.601 in 1/256.
STYLESCOPE_INLINE void look_at(const Row& row, int64_t at, size_t n, const Short16& there,
                               LaneCounts& counts, int16_t* luma) {
  Byte16 bytes[3] = {};
  std::memcpy(&bytes[0], row.red + at, n);
  std::memcpy(&bytes[1], row.green + at, n);
  std::memcpy(&bytes[2], row.blue + at, n);
  const Short16 r = __builtin_convertvector(bytes[0], Short16);
  const Short16 g = __builtin_convertvector(bytes[1], Short16);
  const Short16 b = __builtin_convertvector(bytes[2], Short16);
  const Short16 high = r > g ? (r > b ? r : b) : (g > b ? g : b);
  const Short16 low = r < g ? (r < b ? r : b) : (g < b ? g : b);
  const Short16 black = high <= row.black;
  counts.white -= (low >= row.white) & there;
  counts.black -= black & there;
  Short16 ink;
  find_ink(r, g, b, ink);
  counts.pen -= ink & ~black & there;
  const UShort16 weighted = (UShort16)r * 77 + (UShort16)g * 150 + (UShort16)b * 29 + 128;
  const Short16 grey = (Short16)(weighted >> 8);
  std::memcpy(luma + at, &grey, sizeof grey);
}

STYLESCOPE_SIMD void look_at_row(const Row& row, Counts& counts, int16_t* luma) {
  LaneCounts lanes;
  const Short16 all = Short16{} - 1;
  int64_t at = 0;
  for (; at + kLanes <= row.width; at += kLanes)
    look_at(row, at, static_cast<size_t>(kLanes), all, lanes, luma);
  if (const int64_t left = row.width - at; left > 0) {
    Short16 there{};
    for (int64_t i = 0; i < left; ++i) there[i] = -1;
    look_at(row, at, static_cast<size_t>(left), there, lanes, luma);
  }
  counts.white += total(lanes.white);
  counts.black += total(lanes.black);
  counts.pen += total(lanes.pen);
}

// The 4-neighbour Laplacian at the inner pixels of the row `at`, of luma rows; sums exact.
STYLESCOPE_SIMD void laplacian_row(const int16_t* above, const int16_t* at, const int16_t* below,
                                   int64_t width, Sums& sums) {
  Int16 first{}, second{};
  int64_t x = 1;
  for (; x + kLanes <= width - 1; x += kLanes) {
    Short16 up, down, left, right, middle;
    std::memcpy(&up, above + x, sizeof up);
    std::memcpy(&down, below + x, sizeof down);
    std::memcpy(&left, at + x - 1, sizeof left);
    std::memcpy(&right, at + x + 1, sizeof right);
    std::memcpy(&middle, at + x, sizeof middle);
    const Short16 narrow = 4 * middle - up - down - left - right;
    const Int16 value = __builtin_convertvector(narrow, Int16);
    first += value;
    second += value * value;
  }
  sums.first += total(first);
  sums.second += total(second);
  for (; x < width - 1; ++x) {
    const int64_t value = 4 * at[x] - above[x] - below[x] - at[x - 1] - at[x + 1];
    sums.first += value;
    sums.second += value * value;
  }
}

}  // namespace

void QualityConfig::describe(Fields& f) {
  f.field("white_level", white_level, {1, 255},
          "a pixel is white (glass) when its darkest channel is at least this, grey levels");
  f.field("black_level", black_level, {0, 254},
          "a pixel is black (padding) when its brightest channel is at most this, grey levels");
  f.field("max_white", max_white, {0, 1}, "share of white pixels above which a tile is dropped");
  f.field("max_black", max_black, {0, 1}, "share of black pixels above which a tile is dropped");
  f.field("max_pen", max_pen, {0, 1}, "share of marker ink above which a tile is dropped");
  f.field("min_focus", min_focus, {0, 1'000'000},
          "variance of the Laplacian (grey levels squared) below which a tile is dropped as "
          "blurred; 0: none is");
}

TileQuality measure_quality(const uint8_t* planar, int64_t width, int64_t height,
                            const QualityConfig& config) {
  SS_CHECK(width > 0 && height > 0 && width <= kMaxWidth, width, " x ", height);
  const int64_t pixels = width * height;
  // A lane's worth behind each row: the last step writes all lanes.
  thread_local std::vector<int16_t> rows;
  const int64_t stride = width + kLanes;
  rows.resize(static_cast<size_t>(3 * stride));
  const auto luma = [&](int64_t y) { return rows.data() + y % 3 * stride; };
  Counts counts;
  Sums sums;
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* red = planar + y * width;
    look_at_row({red, red + pixels, red + 2 * pixels, width,
                 static_cast<int16_t>(std::ceil(config.white_level)),
                 static_cast<int16_t>(std::floor(config.black_level))},
                counts, luma(y));
    if (y >= 2) laplacian_row(luma(y - 2), luma(y - 1), luma(y), width, sums);
  }
  const auto share = [&](int64_t n) {
    return static_cast<double>(n) / static_cast<double>(pixels);
  };
  TileQuality quality{share(counts.white), share(counts.black), share(counts.pen), 0};
  if (const auto inner = static_cast<double>((width - 2) * (height - 2)); width > 2 && height > 2) {
    const double mean = static_cast<double>(sums.first) / inner;
    quality.focus = std::max(0.0, static_cast<double>(sums.second) / inner - mean * mean);
  }
  return quality;
}

std::string drop_reason(const TileQuality& quality, const QualityConfig& config) {
  if (quality.white > config.max_white) return "white";
  if (quality.black > config.max_black) return "black";
  if (quality.pen > config.max_pen) return "pen";
  if (quality.focus < config.min_focus) return "blur";
  return "";
}

}  // namespace stylescope
