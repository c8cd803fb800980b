#include "stages/training/augment.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

constexpr int64_t kImages = 64;

std::vector<int64_t> first(int64_t n) {
  std::vector<int64_t> samples(static_cast<size_t>(n));
  std::iota(samples.begin(), samples.end(), 0);
  return samples;
}

torch::Tensor pictures(int64_t channels = 2) {
  return (keyed_uniform({1, "test.pictures", 0}, first(kImages), {channels, 8, 6},
                        torch::kFloat64) *
          255)
      .to(torch::kUInt8);
}

torch::Tensor changed(const torch::Tensor& images, const AugmentConfig& config,
                      const std::vector<int64_t>& samples) {
  return augment(images, config, {9, "test.augment", 3}, samples, torch::kFloat64);
}

TEST(Augment, IsTheIdentityByDefault) {
  EXPECT_TRUE(
      torch::equal(changed(pictures(), {}, first(kImages)), pictures().to(torch::kFloat64)));
}

TEST(Augment, FlipsHalfOfTheImages) {
  AugmentConfig config;
  config.flip_horizontal = true;
  const auto x = pictures().to(torch::kFloat64), y = changed(pictures(), config, first(kImages));
  int64_t flipped = 0;
  for (int64_t i = 0; i < kImages; ++i) {
    const bool same = torch::equal(y[i], x[i]), mirrored = torch::equal(y[i], x[i].flip(2));
    EXPECT_NE(same, mirrored) << i;
    flipped += mirrored;
  }
  EXPECT_GT(flipped, kImages / 4);
  EXPECT_LT(flipped, kImages * 3 / 4);
  config.flip_horizontal = false;
  config.flip_vertical = true;
  const auto z = changed(pictures(), config, first(kImages));
  for (int64_t i = 0; i < kImages; ++i)
    EXPECT_NE(torch::equal(z[i], x[i]), torch::equal(z[i], x[i].flip(1))) << i;
}

TEST(Augment, ShiftsByWholePixelsInEveryDirectionAndRepeatsTheBorder) {
  AugmentConfig config;
  config.shift = 0.25;  // 2 of 8 rows, 1 of 6 columns
  const auto x = pictures().to(torch::kFloat64), y = changed(pictures(), config, first(kImages));
  std::map<std::pair<int64_t, int64_t>, int64_t> seen;
  for (int64_t i = 0; i < kImages; ++i) {
    for (int64_t dy = -2; dy <= 2; ++dy)
      for (int64_t dx = -1; dx <= 1; ++dx) {
        const auto rows = (torch::arange(8) - dy).clamp(0, 7),
                   columns = (torch::arange(6) - dx).clamp(0, 5);
        if (torch::equal(y[i], x[i].index_select(1, rows).index_select(2, columns)))
          ++seen[{dy, dx}];
      }
  }
  int64_t found = 0;
  for (const auto& [shift, count] : seen) found += count;
  EXPECT_EQ(found, kImages);
  EXPECT_EQ(seen.size(), 15u);
}

TEST(Augment, BrightnessAddsAndContrastScales) {
  const auto x = torch::full({kImages, 1, 8, 6}, 100, torch::kUInt8);
  AugmentConfig light;
  light.brightness = 0.2;
  const auto offsets = (changed(x, light, first(kImages)) - 100).view({kImages, -1});
  EXPECT_LE((offsets - offsets.select(1, 0).unsqueeze(1)).abs().max().item<double>(), 1e-10);
  EXPECT_LE(offsets.abs().max().item<double>(), 51);
  EXPECT_GT(offsets.max().item<double>(), 40);
  EXPECT_LT(offsets.min().item<double>(), -40);

  AugmentConfig spread;
  spread.contrast = 0.3;
  // Values far from black and white, so that nothing is clipped.
  const auto soft = pictures().to(torch::kFloat64).mul(0.3).add(90).to(torch::kUInt8);
  const auto before = soft.to(torch::kFloat64), after = changed(soft, spread, first(kImages));
  EXPECT_LE((after.mean({1, 2, 3}) - before.mean({1, 2, 3})).abs().max().item<double>(), 1e-10);
  const auto ratio = after.std({1, 2, 3}, true, false) / before.std({1, 2, 3}, true, false);
  EXPECT_GE(ratio.min().item<double>(), 0.7);
  EXPECT_LE(ratio.max().item<double>(), 1.3);
  EXPECT_GT((ratio.max() - ratio.min()).item<double>(), 0.4);
}

TEST(Augment, AnImagesChangeDependsOnItsSampleNumberAlone) {
  AugmentConfig config{true, true, 0.2, 0.1, 0.2};
  const auto whole = changed(pictures(), config, first(kImages));
  const std::vector<int64_t> some{40, 3, 17};
  const auto part = changed(pictures().index_select(0, torch::tensor(some)), config, some);
  for (size_t i = 0; i < some.size(); ++i)
    EXPECT_TRUE(torch::equal(part[static_cast<int64_t>(i)], whole[some[i]])) << some[i];
  EXPECT_LE(whole.max().item<double>(), 255);
  EXPECT_GE(whole.min().item<double>(), 0);
}

}  // namespace
}  // namespace stylescope
