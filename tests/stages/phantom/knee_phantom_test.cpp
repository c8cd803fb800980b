#include "stages/phantom/knee_phantom.hpp"

#include "stages/phantom/knee_measurement.hpp"

#include <cmath>
#include <functional>
#include <map>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

constexpr uint64_t kSeed = 21;

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  auto x = torch::tensor(a, torch::kFloat64), y = torch::tensor(b, torch::kFloat64);
  x -= x.mean();
  y -= y.mean();
  return ((x * y).sum() / (x.norm() * y.norm())).item<double>();
}

// 500 images of 250 subjects with all variation on, drawn once for all tests of a size.
const std::vector<torch::Tensor>& drawn(int64_t size) {
  static std::map<int64_t, std::vector<torch::Tensor>> images;
  auto& own = images[size];
  for (int64_t i = static_cast<int64_t>(own.size()); i < 500; ++i)
    own.push_back(draw_knee(knee_factors(kSeed, i / 2, i % 2), size, kSeed, i / 2, i % 2));
  return own;
}

// Their factors, and what is measured in them.
struct Sample {
  std::vector<double> width, nuisance, measured_width, measured_nuisance;
};

Sample draw_and_measure(int64_t size,
                        const std::function<torch::Tensor(const torch::Tensor&)>& spoil) {
  Sample sample;
  for (int64_t i = 0; i < 500; ++i) {
    const auto factors = knee_factors(kSeed, i / 2, i % 2);
    const auto image = spoil(drawn(size)[static_cast<size_t>(i)]);
    sample.width.push_back(factors.joint_width);
    sample.nuisance.push_back(factors.nuisance);
    sample.measured_width.push_back(measure_joint_width(image));
    sample.measured_nuisance.push_back(measure_nuisance(image));
  }
  return sample;
}

torch::Tensor as_drawn(const torch::Tensor& image) { return image; }

// What a generator adds: a slightly softer picture, faint errors, three channels that differ.
torch::Tensor as_generated(const torch::Tensor& image) {
  const auto kernel = torch::tensor({0.15, 0.7, 0.15}, torch::kFloat64);
  const auto padded =
      torch::replication_pad2d(image.to(torch::kFloat64).unsqueeze(0), {1, 1, 1, 1});
  const auto soft = torch::conv2d(padded, kernel.outer(kernel).view({1, 1, 3, 3})).squeeze(0);
  const auto tint = torch::tensor({-4.0, 0.0, 4.0}, torch::kFloat64).view({3, 1, 1});
  return (soft + tint).round().clamp(0, 255).to(torch::kUInt8);
}

class KneeMeasurement : public ::testing::TestWithParam<int64_t> {};

void expect_faithful(const Sample& s, double least) {
  // By chance the factors of the sample correlate a little themselves; and measuring adds little.
  const double chance = correlation(s.width, s.nuisance);
  ASSERT_LT(std::abs(chance), 0.06);
  EXPECT_NEAR(correlation(s.nuisance, s.measured_width), chance, 0.04);
  EXPECT_NEAR(correlation(s.width, s.measured_nuisance), chance, 0.04);
  EXPECT_GT(correlation(s.width, s.measured_width), least);
  EXPECT_GT(correlation(s.nuisance, s.measured_nuisance), least);
  EXPECT_LT(std::abs(correlation(s.nuisance, s.measured_width)), 0.1);
  EXPECT_LT(std::abs(correlation(s.width, s.measured_nuisance)), 0.1);
}

TEST_P(KneeMeasurement, FollowsItsOwnFactorAndNotTheOther) {
  expect_faithful(draw_and_measure(GetParam(), as_drawn), GetParam() >= 32 ? 0.95 : 0.9);
}

TEST_P(KneeMeasurement, SurvivesSofteningAndColour) {
  expect_faithful(draw_and_measure(GetParam(), as_generated), GetParam() >= 32 ? 0.95 : 0.9);
}

TEST_P(KneeMeasurement, IsInTheUnitsOfTheFactors) {
  const auto s = draw_and_measure(GetParam(), as_drawn);
  const auto error = [](const std::vector<double>& a, const std::vector<double>& b) {
    return (torch::tensor(a, torch::kFloat64) - torch::tensor(b, torch::kFloat64))
        .abs()
        .mean()
        .item<double>();
  };
  EXPECT_LT(error(s.width, s.measured_width), 0.02);
  EXPECT_LT(error(s.nuisance, s.measured_nuisance), 0.15);
}

INSTANTIATE_TEST_SUITE_P(Sizes, KneeMeasurement, ::testing::Values(16, 32, 64));

TEST(KneeMeasurement, GivesANumberForAnyPicture) {
  for (const int64_t value : {0, 128, 255}) {
    const auto flat = torch::full({1, 32, 32}, value, torch::kUInt8);
    EXPECT_TRUE(std::isfinite(measure_joint_width(flat)));
    EXPECT_TRUE(std::isfinite(measure_nuisance(flat)));
  }
}

TEST(KneePhantom, ClassesAreBalancedAndCausedByTheJointWidth) {
  int64_t narrow = 0, near = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    const auto f = knee_factors(kSeed, i, 0);
    EXPECT_EQ(f.label(), f.joint_width < kNarrowJointWidth ? 1 : 0);
    EXPECT_GE(f.joint_width, kMinJointWidth);
    EXPECT_LE(f.joint_width, kMaxJointWidth);
    narrow += f.label();
    near += std::abs(f.joint_width - kNarrowJointWidth) < 0.01;
  }
  EXPECT_NEAR(static_cast<double>(narrow), 500, 15);
  EXPECT_GT(near, 2) << "no hard cases";
  EXPECT_LT(near, 60) << "classes run into each other";
}

TEST(KneePhantom, VisitsOfASubjectAreAlikeAndDiffer) {
  for (int64_t subject = 0; subject < 50; ++subject) {
    const auto first = knee_factors(kSeed, subject, 0), second = knee_factors(kSeed, subject, 1);
    EXPECT_LT(std::abs(first.joint_width - second.joint_width), 0.0081);
    EXPECT_EQ(first.bone_width, second.bone_width);
    EXPECT_NE(first.tilt, second.tilt);
    EXPECT_NE(first.nuisance, second.nuisance);
  }
}

TEST(KneePhantom, NuisanceCorrelatesOnlyWhenAsked) {
  for (const double asked : {-0.8, 0.0, 0.8}) {
    std::vector<double> width, nuisance;
    for (int64_t i = 0; i < 3000; ++i) {
      const auto f = knee_factors(kSeed, i, 0, asked);
      ASSERT_GE(f.nuisance, 0);
      ASSERT_LE(f.nuisance, 1);
      width.push_back(f.joint_width);
      nuisance.push_back(f.nuisance);
    }
    EXPECT_NEAR(correlation(width, nuisance), asked, asked == 0 ? 0.06 : 0.1);
  }
}

TEST(KneePhantom, DrawingDependsOnItsKeyAlone) {
  const auto f = knee_factors(kSeed, 3, 1);
  const auto image = draw_knee(f, 32, kSeed, 3, 1);
  EXPECT_EQ(image.sizes(), (std::vector<int64_t>{1, 32, 32}));
  EXPECT_TRUE(image.equal(draw_knee(f, 32, kSeed, 3, 1)));
  EXPECT_FALSE(image.equal(draw_knee(f, 32, kSeed, 3, 2)));
  EXPECT_FALSE(image.equal(draw_knee(f, 32, kSeed + 1, 3, 1)));
}

}  // namespace
}  // namespace stylescope
