#include "stages/tile/resample.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

struct Picture {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // interleaved

  uint8_t at(int64_t x, int64_t y, int64_t c) const {
    return rgb[static_cast<size_t>((y * width + x) * 3 + c)];
  }
};

template <class Value>
Picture make(int64_t width, int64_t height, const Value& value) {
  Picture picture{width, height, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < 3; ++c) picture.rgb.push_back(static_cast<uint8_t>(value(x, y, c)));
  return picture;
}

Picture noise(int64_t width, int64_t height, unsigned seed) {
  std::mt19937 random(seed);
  return make(width, height, [&](int64_t, int64_t, int64_t) { return random() & 255U; });
}

std::vector<uint8_t> resample(const Picture& p, const ResampleAxis& x, const ResampleAxis& y,
                              ResampleFilter filter) {
  std::vector<uint8_t> out(static_cast<size_t>(3 * x.pixels * y.pixels));
  resample_tile(p.rgb.data(), p.width * 3, 0, 0, x, y, filter, out.data());
  return out;
}

// The definition, in float64 and with no care for speed: every source pixel's weight in a tile
// pixel.
double reference_weight(const ResampleAxis& axis, ResampleFilter filter, int64_t o, int64_t j) {
  const double step = axis.length / static_cast<double>(axis.pixels);
  const auto x = static_cast<double>(j), at = static_cast<double>(o);
  if (filter == ResampleFilter::area && step >= 1)
    return std::max(
        0.0, std::min(axis.begin + (at + 1) * step, x + 1) - std::max(axis.begin + at * step, x));
  const double distance = std::abs(x - (axis.begin + (at + 0.5) * step - 0.5));
  if (filter == ResampleFilter::area) return std::max(0.0, 1 - distance);
  const double t = distance / std::max(1.0, step) * std::numbers::pi;
  if (t >= 3 * std::numbers::pi) return 0;
  return t < 1e-12 ? 1 : std::sin(t) / t * std::sin(t / 3) / (t / 3);
}

double reference(const Picture& p, const ResampleAxis& x, const ResampleAxis& y,
                 ResampleFilter filter, int64_t ox, int64_t oy, int64_t c) {
  double sum = 0, weights = 0;
  for (int64_t j = std::max<int64_t>(0, y.source_begin); j < std::min(p.height, y.source_end);
       ++j) {
    const double down = reference_weight(y, filter, oy, j);
    if (down == 0) continue;
    for (int64_t i = std::max<int64_t>(0, x.source_begin); i < std::min(p.width, x.source_end);
         ++i) {
      const double weight = down * reference_weight(x, filter, ox, i);
      sum += weight * p.at(i, j, c);
      weights += weight;
    }
  }
  return std::clamp(sum / weights, 0.0, 255.0);
}

// The largest distance from the reference over all samples.
double worst(const Picture& p, const ResampleAxis& x, const ResampleAxis& y,
             ResampleFilter filter) {
  const auto out = resample(p, x, y, filter);
  double most = 0;
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t oy = 0; oy < y.pixels; ++oy)
      for (int64_t ox = 0; ox < x.pixels; ++ox)
        most =
            std::max(most, std::abs(reference(p, x, y, filter, ox, oy, c) -
                                    out[static_cast<size_t>((c * y.pixels + oy) * x.pixels + ox)]));
  return most;
}

TEST(Resample, AgreesWithFloat64OnRandomWindows) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> share(0, 1);
  const auto picture = noise(150, 140, 2);
  for (int i = 0; i < 30; ++i) {
    const auto axis = [&](int64_t size) {
      const auto pixels = static_cast<int64_t>(1 + 40 * share(random));
      const double scale = i % 3 == 0 ? 1 + 0.05 * share(random) : std::exp2(3 * share(random) - 1);
      const double length =
          std::min(scale * static_cast<double>(pixels), static_cast<double>(size) * 0.8);
      return ResampleAxis{(static_cast<double>(size) - length) * share(random), length, pixels, 0,
                          size};
    };
    const auto x = axis(picture.width), y = axis(picture.height);
    SCOPED_TRACE(::testing::Message() << x.begin << " " << x.length << " " << x.pixels << "; "
                                      << y.begin << " " << y.length << " " << y.pixels);
    EXPECT_LE(worst(picture, x, y, ResampleFilter::area), 0.5001);
    EXPECT_LE(worst(picture, x, y, ResampleFilter::lanczos), 0.5001);
  }
}

TEST(Resample, AgreesWithFloat64AtWholeFactors) {
  const auto picture = noise(200, 180, 3);
  for (const double factor : {1.0, 2.0, 3.0, 4.0, 7.0})
    for (const double begin : {0.0, 5.0, 5.25})
      for (const auto filter : {ResampleFilter::area, ResampleFilter::lanczos}) {
        const ResampleAxis x{begin, factor * 20, 20, 0, 200}, y{begin + 1, factor * 17, 17, 0, 180};
        EXPECT_LE(worst(picture, x, y, filter), 0.5001) << factor << " from " << begin;
      }
}

TEST(Resample, CopiesWholePixels) {
  const auto picture = noise(61, 47, 4);
  for (const auto filter : {ResampleFilter::area, ResampleFilter::lanczos}) {
    const auto out = resample(picture, {7 + 1e-9, 41, 41}, {3, 33 + 1e-9, 33}, filter);
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t y = 0; y < 33; ++y)
        for (int64_t x = 0; x < 41; ++x)
          ASSERT_EQ(out[static_cast<size_t>((c * 33 + y) * 41 + x)], picture.at(x + 7, y + 3, c));
  }
}

TEST(Resample, KeepsConstants) {
  for (const int value : {0, 1, 127, 254, 255}) {
    const auto picture = make(90, 90, [&](int64_t, int64_t, int64_t) { return value; });
    for (const double length : {11.3, 31.9, 32.0, 32.5, 70.7})
      for (const auto filter : {ResampleFilter::area, ResampleFilter::lanczos})
        for (const auto level :
             resample(picture, {1.3, length, 32, 0, 90}, {2.8, length, 32, 0, 90}, filter))
          ASSERT_EQ(level, value) << length;
  }
}

TEST(Resample, AreaKeepsTheMean) {
  const auto picture = noise(96, 96, 5);
  const auto out = resample(picture, {0, 96, 20}, {0, 96, 28}, ResampleFilter::area);
  const auto mean = [](const std::vector<uint8_t>& v) {
    double sum = 0;
    for (const auto x : v) sum += x;
    return sum / static_cast<double>(v.size());
  };
  EXPECT_NEAR(mean(out), mean(picture.rgb), 0.05);
}

// A slope of 2 levels a pixel: the mean over a footprint is the slope's value at its middle.
TEST(Resample, LinearRampsAreExact) {
  const auto picture = make(120, 100, [](int64_t x, int64_t, int64_t) { return 2 * x; });
  for (const double step : {1.0, 1.5, 2.0, 2.7}) {
    const ResampleAxis x{4.2, step * 30, 30, 0, 120}, y{4.6, 50, 20, 0, 100};
    const auto out = resample(picture, x, y, ResampleFilter::area);
    for (int64_t i = 0; i < 30; ++i) {
      const double middle = 4.2 + (static_cast<double>(i) + 0.5) * step - 0.5;
      EXPECT_NEAR(out[static_cast<size_t>(i)], 2 * middle, 0.5001) << step;
    }
  }
}

TEST(Resample, LeavesOutWhatLiesBeyondTheSource) {
  const auto picture = noise(40, 40, 6);
  // Lanczos takes three pixels more on every side; here there are none.
  const ResampleAxis edge{0, 40, 37, 0, 40};
  const auto span = source_span(edge, ResampleFilter::lanczos);
  EXPECT_EQ(span.begin, 0);
  EXPECT_EQ(span.end, 40);
  EXPECT_LE(worst(picture, edge, edge, ResampleFilter::lanczos), 0.5001);
  // A tile that hangs over by half: its outer pixels repeat the last one.
  for (const auto filter : {ResampleFilter::area, ResampleFilter::lanczos}) {
    const ResampleAxis over{20.5, 40, 32, 0, 40}, inside{0, 40, 32, 0, 40};
    const auto out = resample(picture, over, inside, filter);
    EXPECT_EQ(out[31], out[30]);
    EXPECT_EQ(out[31], out[20]);
  }
}

TEST(Resample, SpansAreWhatTheFilterTakes) {
  const auto area = source_span({10.25, 20, 10}, ResampleFilter::area);
  EXPECT_EQ(area.begin, 10);
  EXPECT_EQ(area.end, 31);
  const auto whole = source_span({10, 20, 10}, ResampleFilter::area);
  EXPECT_EQ(whole.begin, 10);
  EXPECT_EQ(whole.end, 30);
  const auto lanczos = source_span({10.25, 10, 10}, ResampleFilter::lanczos);
  EXPECT_EQ(lanczos.begin, 8);
  EXPECT_EQ(lanczos.end, 23);
  const auto copy = source_span({10, 10, 10}, ResampleFilter::lanczos);
  EXPECT_EQ(copy.begin, 10);
  EXPECT_EQ(copy.end, 20);
  EXPECT_THROW(source_span({0, 0, 10}, ResampleFilter::area), std::logic_error);
}

TEST(Resample, TheSourceMayBeginAnywhere) {
  const auto picture = noise(64, 64, 7);
  const ResampleAxis x{20.3, 30, 16}, y{22.4, 25, 16};
  const auto expected = resample(picture, x, y, ResampleFilter::area);
  std::vector<uint8_t> out(expected.size());
  resample_tile(picture.rgb.data() + (18 * 64 + 20) * 3, 64 * 3, 20, 18, x, y, ResampleFilter::area,
                out.data());
  EXPECT_EQ(out, expected);
  EXPECT_THROW(
      resample_tile(picture.rgb.data(), 64 * 3, 21, 0, x, y, ResampleFilter::area, out.data()),
      std::logic_error);
}

TEST(Resample, KnowsItsFilters) {
  EXPECT_EQ(resample_filter("area"), ResampleFilter::area);
  EXPECT_EQ(resample_filter("lanczos"), ResampleFilter::lanczos);
  EXPECT_THROW(resample_filter("cubic"), Error);
}

}  // namespace
}  // namespace stylescope
