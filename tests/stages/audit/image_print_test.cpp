#include "stages/audit/image_print.hpp"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

torch::Tensor noise(int64_t channels, int64_t height, int64_t width, int64_t seed = 1) {
  torch::manual_seed(seed);
  return torch::randint(0, 256, {channels, height, width}, torch::kUInt8);
}

std::vector<Orientation> all_orientations() {
  std::vector<Orientation> all;
  for (int way = 0; way < 8; ++way) all.push_back({(way & 4) != 0, (way & 2) != 0, (way & 1) != 0});
  return all;
}

TEST(Thumb, AveragesAreasOfTheLuminance) {
  const auto pixels = noise(3, 64, 64);
  const auto thumb = thumb_of(pixels);
  ASSERT_EQ(thumb.side, 32);
  const auto weights = torch::tensor({0.299, 0.587, 0.114}, torch::kFloat64).view({3, 1, 1});
  auto expected = pixels.to(torch::kFloat64).mul(weights).sum(0).view({32, 2, 32, 2}).mean({1, 3});
  const double deviation = expected.std(false).item<double>();
  EXPECT_NEAR(thumb.contrast, deviation, 1e-3);
  expected = (expected - expected.mean()) / deviation;
  const auto values = torch::tensor(thumb.values, torch::kFloat64).view({32, 32});
  EXPECT_LT((values - expected).abs().max().item<double>(), 1e-4);
}

TEST(Thumb, SmallAndEvenImages) {
  EXPECT_EQ(thumb_of(noise(1, 16, 16)).side, 16);
  EXPECT_EQ(thumb_of(noise(1, 100, 40)).side, 32);
  const auto even = thumb_of(torch::full({1, 64, 64}, 200, torch::kUInt8));
  EXPECT_NEAR(even.contrast, 0, 1e-3);
  for (const float value : even.values) EXPECT_EQ(value, 0);
}

// The definition of the orthonormal DCT-II, by its double sum, over the side.
TEST(ImagePrint, HoldsTheLowestFrequencies) {
  const auto thumb = thumb_of(noise(1, 32, 32));
  const auto print = print_of(thumb);
  EXPECT_EQ(print.low[0], 0);
  for (const auto& [u, v] : {std::pair<int64_t, int64_t>{0, 1}, {1, 0}, {3, 5}, {7, 7}}) {
    double sum = 0;
    for (int64_t y = 0; y < 32; ++y)
      for (int64_t x = 0; x < 32; ++x)
        sum += thumb.values[static_cast<size_t>(32 * y + x)] *
               std::cos(std::numbers::pi * (static_cast<double>(y) + 0.5) * static_cast<double>(u) /
                        32) *
               std::cos(std::numbers::pi * (static_cast<double>(x) + 0.5) * static_cast<double>(v) /
                        32);
    const double scale = std::sqrt((u ? 2.0 : 1.0) / 32) * std::sqrt((v ? 2.0 : 1.0) / 32) / 32;
    EXPECT_NEAR(print.low[static_cast<size_t>(8 * u + v)], sum * scale, 1e-5) << u << v;
  }
}

TEST(ImagePrint, BrightnessAndContrastDoNotCount) {
  const auto pixels = noise(1, 32, 32).div(2, "floor").add(20);
  const auto print = print_of(pixels.to(torch::kUInt8));
  const auto darker = print_of(pixels.div(2, "floor").add(5).to(torch::kUInt8));
  for (size_t k = 0; k < print.low.size(); ++k) EXPECT_NEAR(print.low[k], darker.low[k], 5e-3);
}

// A turned image has the turned print, and the thumb too.
TEST(ImagePrint, IsTurnedAsTheImageIs) {
  const auto pixels = noise(1, 64, 64);
  for (const auto& orientation : all_orientations()) {
    auto image = orientation.transposed ? pixels.transpose(1, 2) : pixels;
    if (orientation.flipped) image = image.flip(1);
    if (orientation.mirrored) image = image.flip(2);
    const auto expected = thumb_of(image), found = turned(thumb_of(pixels), orientation);
    const auto expected_print = print_of(expected),
               found_print = turned(print_of(pixels), orientation);
    for (size_t i = 0; i < expected.values.size(); ++i)
      ASSERT_NEAR(found.values[i], expected.values[i], 1e-5) << orientation.name();
    for (size_t k = 0; k < expected_print.low.size(); ++k)
      ASSERT_NEAR(found_print.low[k], expected_print.low[k], 1e-5) << orientation.name();
  }
  EXPECT_EQ(all_orientations()[0].name(), "same");
  EXPECT_EQ(all_orientations()[5].name(), "transposed and mirrored");
}

TEST(ImagePrint, ThePictureOfLowFrequenciesHasThem) {
  const auto print = print_of(noise(1, 32, 32));
  Thumb thumb{32, picture_of(print.low, 32), 1};
  const auto again = print_of(thumb);
  for (size_t k = 0; k < print.low.size(); ++k) EXPECT_NEAR(again.low[k], print.low[k], 1e-5);
}

TEST(HashBits, AreSetAboveTheMedian) {
  std::vector<ImagePrint> prints(3);
  for (size_t i = 0; i < 3; ++i) prints[i].low[1] = static_cast<float>(i);
  prints[0].low[63] = 9;
  const auto medians = medians_of(prints);
  EXPECT_EQ(medians[1], 1);
  EXPECT_EQ(hash_bits(prints[2], medians), uint64_t{2});
  EXPECT_EQ(hash_bits(prints[1], medians), uint64_t{0});
  EXPECT_EQ(hash_bits(prints[0], medians), uint64_t{1} << 63);
}

}  // namespace
}  // namespace stylescope
