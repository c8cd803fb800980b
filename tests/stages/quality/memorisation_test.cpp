#include "stages/quality/memorisation.hpp"

#include "io/base/error.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/world.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::world;

torch::Tensor features(const char* name, int64_t n) {
  return golden::values(name, 1, {n, 8}).to(torch::kDouble);
}

TEST(Memorisation, FindsPlantedCopies) {
  const auto real = features("memorised.real", 300);
  auto generated = features("memorised.generated", 270) * 1.5;
  generated[5] = real[3];
  generated[260] = real[299] + 1e-3;
  const auto found = find_memorised(real, generated, 4, world());
  ASSERT_EQ(found.suspects.size(), 4);
  EXPECT_EQ(found.suspects[0].generated, 5);
  EXPECT_EQ(found.suspects[0].nearest, 3);
  EXPECT_EQ(found.suspects[0].distance, 0);
  EXPECT_EQ(found.suspects[0].ratio, 0);
  EXPECT_EQ(found.suspects[0].quantile, 0);
  EXPECT_EQ(found.suspects[1].generated, 260);
  EXPECT_EQ(found.suspects[1].nearest, 299);
  EXPECT_NEAR(found.suspects[1].distance, 1e-3 * std::sqrt(8.0), 1e-12);
  EXPECT_LT(found.suspects[1].ratio, 0.05);
  // The others are no copies, and are worse the later they stand.
  EXPECT_GT(found.suspects[2].ratio, 0.1);
  EXPECT_GE(found.suspects[3].ratio, found.suspects[2].ratio);
}

TEST(Memorisation, IsTheDefinition) {
  const auto real = features("memorised.real", 40), generated = features("memorised.generated", 30);
  const auto far = [](const torch::Tensor& a, const torch::Tensor& b) {
    return (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(2).sqrt();
  };
  const auto usual =
      std::get<0>((far(real, real) + torch::full({40}, 1e9, torch::kDouble).diag()).min(1));
  const auto [distance, nearest] = far(generated, real).min(1);
  const auto nearer =
      (distance < usual.index_select(0, nearest)).to(torch::kDouble).mean().item<double>();
  const auto found = find_memorised(real, generated, 100, world());
  EXPECT_DOUBLE_EQ(found.nearer_than_usual, nearer);
  ASSERT_EQ(found.suspects.size(), 30);
  for (const auto& s : found.suspects) {
    EXPECT_EQ(s.nearest, nearest[s.generated].item<int64_t>());
    EXPECT_NEAR(s.usual, usual[s.nearest].item<double>(), 1e-14);
    EXPECT_NEAR(s.ratio, s.distance / s.usual, 1e-14);
    EXPECT_DOUBLE_EQ(s.quantile, (usual < s.distance).to(torch::kDouble).mean().item<double>());
  }
}

// Training images that are there twice: a near copy of them is as suspicious as one of any other,
// an image beside them is not.
TEST(Memorisation, TwinsAmongTheTrainingImages) {
  auto real = features("memorised.real", 300);
  real[1] = real[0];
  real[299] = real[0];
  real[200] = real[100];
  auto generated = features("memorised.generated", 20) * 1.5;
  generated[4] = real[0];
  generated[7] = real[0] + 1e-3;
  generated[9] = real[100] + 1e-3;
  const auto found = find_memorised(real, generated, 4, world());
  EXPECT_EQ(found.suspects[0].generated, 4);
  EXPECT_EQ(found.suspects[0].ratio, 0);
  for (const size_t i : {1, 2}) {
    const auto& s = found.suspects[i];
    EXPECT_TRUE(s.generated == 7 || s.generated == 9) << s.generated;
    EXPECT_LT(s.ratio, 0.05);
    EXPECT_EQ(s.quantile, 0);
    // The image beside them is no twin.
    EXPECT_GT(s.usual, 0);
    const double apart = (real[s.nearest] - real[s.next]).norm().item<double>();
    EXPECT_NEAR(apart, s.usual, 1e-12);
  }
  EXPECT_GT(found.suspects[3].ratio, 0.1);
  EXPECT_GT(found.median_usual, 0);
}

// Training images that are all one image: a distance is nothing to be compared with.
TEST(Memorisation, NothingButCopies) {
  const auto real = features("memorised.real", 1).repeat({5, 1});
  const auto found = find_memorised(real, torch::stack({real[0] + 0.01, real[0]}), 2, world());
  EXPECT_EQ(found.suspects[0].generated, 1);
  EXPECT_EQ(found.suspects[0].ratio, 0);
  EXPECT_TRUE(std::isinf(found.suspects[1].ratio));
  EXPECT_THROW(find_memorised(real.slice(0, 0, 1), real, 2, world()), Error);
}

}  // namespace
}  // namespace stylescope
