#include "stages/tile/tile_quality.hpp"

#include "stages/tile/ink.hpp"
#include "tests/stages/tile/real_patches.hpp"
#include "tests/stages/tile/stained_picture.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using namespace testing_support;
using Colour = std::array<uint8_t, 3>;

std::vector<uint8_t> flat(int64_t width, int64_t height, const Colour& colour) {
  std::vector<uint8_t> out;
  for (const auto v : colour) out.insert(out.end(), static_cast<size_t>(width * height), v);
  return out;
}

bool ink(const Colour& c) {
  bool found = false;
  find_ink<int, bool>(c[0], c[1], c[2], found);
  return found;
}

// Laplacian and luma as the header defines them, one pixel at a time.
double plain_focus(const std::vector<uint8_t>& planar, int64_t width, int64_t height) {
  const int64_t n = width * height;
  const auto luma = [&](int64_t x, int64_t y) {
    const auto i = static_cast<size_t>(y * width + x);
    return (77 * planar[i] + 150 * planar[i + static_cast<size_t>(n)] +
            29 * planar[i + static_cast<size_t>(2 * n)] + 128) >>
           8;
  };
  double sum = 0, squares = 0, inner = 0;
  for (int64_t y = 1; y + 1 < height; ++y)
    for (int64_t x = 1; x + 1 < width; ++x, ++inner) {
      const double v =
          4 * luma(x, y) - luma(x - 1, y) - luma(x + 1, y) - luma(x, y - 1) - luma(x, y + 1);
      sum += v, squares += v * v;
    }
  return squares / inner - sum / inner * (sum / inner);
}

TEST(TileQuality, CountsWhiteBlackAndPen) {
  const int64_t width = 37, height = 20;  // no multiple of any vector
  auto tile = flat(width, height, {200, 120, 170});
  const auto paint = [&](int64_t from, int64_t to, const Colour& colour) {
    for (size_t c = 0; c < 3; ++c)
      std::fill(tile.begin() + static_cast<int64_t>(c) * width * height + from,
                tile.begin() + static_cast<int64_t>(c) * width * height + to, colour[c]);
  };
  paint(0, 74, {250, 245, 240});   // glass
  paint(74, 111, {0, 0, 0});       // padding
  paint(111, 259, {30, 60, 170});  // blue ink
  paint(700, 740, {60, 58, 62});   // black ink, to the last pixel
  const auto quality = measure_quality(tile.data(), width, height, {});
  EXPECT_DOUBLE_EQ(quality.white, 74.0 / 740);
  EXPECT_DOUBLE_EQ(quality.black, 37.0 / 740);
  EXPECT_DOUBLE_EQ(quality.pen, 188.0 / 740);
  EXPECT_DOUBLE_EQ(quality.focus, plain_focus(tile, width, height));
}

TEST(TileQuality, LevelsAreTheConfigurations) {
  const auto tile = flat(16, 16, {200, 190, 210});
  QualityConfig config;
  config.white_level = 190;
  EXPECT_EQ(measure_quality(tile.data(), 16, 16, config).white, 1);
  config.white_level = 190.5;
  EXPECT_EQ(measure_quality(tile.data(), 16, 16, config).white, 0);
  config.black_level = 210;
  EXPECT_EQ(measure_quality(tile.data(), 16, 16, config).black, 1);
}

TEST(TileQuality, FocusIsTheVarianceOfTheLaplacian) {
  std::mt19937 random(1);
  for (const int64_t width : {3, 16, 17, 18, 33, 100}) {
    std::vector<uint8_t> tile(static_cast<size_t>(3 * width * 9));
    for (auto& v : tile) v = static_cast<uint8_t>(random());
    EXPECT_NEAR(measure_quality(tile.data(), width, 9, {}).focus, plain_focus(tile, width, 9), 1e-6)
        << width;
  }
  const auto sliver = flat(2, 50, {1, 2, 3});
  EXPECT_EQ(measure_quality(sliver.data(), 2, 50, {}).focus, 0);
}

TEST(TileQuality, BlurLowersFocus) {
  auto sharp = planar_of(stained_pixels(known_stains()[0], 64 * 64, 1, 1, 2));
  auto blurred = sharp;
  for (size_t c = 0; c < 3; ++c)
    for (size_t y = 1; y < 63; ++y)
      for (size_t x = 1; x < 63; ++x) {
        int sum = 0;
        for (size_t j = 0; j < 3; ++j)
          for (size_t i = 0; i < 3; ++i) sum += sharp[c * 4096 + (y + j - 1) * 64 + x + i - 1];
        blurred[c * 4096 + y * 64 + x] = static_cast<uint8_t>(sum / 9);
      }
  EXPECT_LT(measure_quality(blurred.data(), 64, 64, {}).focus,
            0.2 * measure_quality(sharp.data(), 64, 64, {}).focus);
}

TEST(TileQuality, StainsAreNoInk) {
  for (const auto& stains : known_stains())
    for (double h = 0; h <= 2.5; h += 0.05)
      for (double e = 0; e <= 2; e += 0.05) {
        const auto rgb = stained_pixel(stains, h, e);
        if (std::max({rgb[0], rgb[1], rgb[2]}) <= 30) continue;  // counted as black
        ASSERT_FALSE(ink(rgb)) << "haematoxylin " << h << ", eosin " << e << ": " << int{rgb[0]}
                               << " " << int{rgb[1]} << " " << int{rgb[2]};
      }
}

TEST(TileQuality, InksAreInk) {
  for (const Colour colour :
       {Colour{30, 60, 170}, Colour{10, 30, 140}, Colour{20, 20, 200}, Colour{80, 130, 220},
        Colour{0, 110, 60}, Colour{60, 160, 110}, Colour{20, 70, 50}, Colour{200, 30, 40},
        Colour{170, 20, 25}, Colour{220, 60, 60}, Colour{40, 40, 45}, Colour{70, 68, 72}})
    EXPECT_TRUE(ink(colour)) << int{colour[0]} << " " << int{colour[1]} << " " << int{colour[2]};
  for (int grey = 91; grey < 256; ++grey) {
    const auto v = static_cast<uint8_t>(grey);
    EXPECT_FALSE(ink({v, v, v})) << grey;  // glass, dust
  }
}

TEST(TileQuality, RealTissueIsNoInk) {
  const auto patches = real_patches(150);
  if (patches.empty()) GTEST_SKIP() << kNoPatches;
  double pen = 0;
  int sharp = 0;
  for (const auto& patch : patches) {
    const auto quality = measure_quality(patch.data(), 96, 96, {});
    pen += quality.pen;
    sharp += quality.focus > 20;
  }
  EXPECT_LT(pen / static_cast<double>(patches.size()), 0.005);
  EXPECT_GT(sharp, 0.9 * static_cast<double>(patches.size()));
}

TEST(TileQuality, SaysWhyATileIsDropped) {
  const QualityConfig config;
  EXPECT_EQ(drop_reason({0.5, 0.05, 0.05, 10}, config), "");
  EXPECT_EQ(drop_reason({0.81, 0.2, 0.2, 0}, config), "white");
  EXPECT_EQ(drop_reason({0.8, 0.2, 0.2, 0}, config), "black");
  EXPECT_EQ(drop_reason({0.8, 0.1, 0.2, 0}, config), "pen");
  EXPECT_EQ(drop_reason({0.8, 0.1, 0.1, 0}, config), "");
  QualityConfig strict;
  strict.min_focus = 30;
  EXPECT_EQ(drop_reason({0, 0, 0, 29}, strict), "blur");
  EXPECT_EQ(drop_reason({0, 0, 0, 30}, strict), "");
}

}  // namespace
}  // namespace stylescope
