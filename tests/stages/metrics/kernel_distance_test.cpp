#include "stages/metrics/kernel_distance.hpp"

#include "io/base/error.hpp"
#include "tests/support/golden.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

// The definition, pair by pair.
double plain_mmd(const torch::Tensor& x, const torch::Tensor& y) {
  const auto d = static_cast<double>(x.size(1));
  const auto kernel = [&](const torch::Tensor& a, const torch::Tensor& b) {
    return std::pow(a.dot(b).item<double>() / d + 1, 3);
  };
  const int64_t m = x.size(0), n = y.size(0);
  double within_x = 0, within_y = 0, between = 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < m; ++j)
      if (i != j) within_x += kernel(x[i], x[j]);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      if (i != j) within_y += kernel(y[i], y[j]);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) between += kernel(x[i], y[j]);
  return within_x / static_cast<double>(m * (m - 1)) + within_y / static_cast<double>(n * (n - 1)) -
         2 * between / static_cast<double>(m * n);
}

torch::Tensor features(const char* name, int64_t n) {
  return golden::values(name, 1, {n, 5}).to(torch::kDouble);
}

TEST(KernelDistance, ByHand) {
  // Dimension 1: k(1, 1) = 8, k(0, .) = 1.
  const auto ones = torch::ones({2, 1}, torch::kDouble), zeros = torch::zeros_like(ones);
  EXPECT_EQ(squared_mmd(ones, zeros), 8 + 1 - 2);
}

TEST(KernelDistance, IsTheDefinition) {
  const auto x = features("kernel.x", 13), y = features("kernel.y", 9) + 0.3;
  EXPECT_NEAR(squared_mmd(x, y), plain_mmd(x, y), 1e-13);
}

TEST(KernelDistance, OneSubsetOfAllIsTheEstimateItself) {
  SelfCommunicator self;
  const auto x = features("kernel.x", 12), y = features("kernel.y", 12) + 0.3;
  const auto result = kernel_distance(x, y, {50, 1000, 3}, self);
  EXPECT_EQ(result.subsets, 1);
  EXPECT_EQ(result.subset_size, 12);
  EXPECT_NEAR(result.mean, plain_mmd(x, y), 1e-13);
  EXPECT_TRUE(std::isnan(result.deviation));
}

// The mean over subsets estimates the same as all pairs do, and another seed draws others.
TEST(KernelDistance, SubsetsEstimateTheWhole) {
  SelfCommunicator self;
  const auto x = features("kernel.x", 40), y = features("kernel.y", 60) + 0.5;
  const double whole = plain_mmd(x, y);
  const auto result = kernel_distance(x, y, {400, 10, 3}, self);
  EXPECT_EQ(result.subset_size, 10);
  EXPECT_GT(result.deviation, 0);
  EXPECT_NEAR(result.mean, whole, 4 * result.deviation / std::sqrt(400.0));
  EXPECT_NE(result.mean, kernel_distance(x, y, {400, 10, 4}, self).mean);
  EXPECT_EQ(result.mean, kernel_distance(x, y, {400, 10, 3}, self).mean);
}

TEST(KernelDistance, TakesTwoImages) {
  EXPECT_THROW(squared_mmd(features("kernel.x", 1), features("kernel.y", 4)), Error);
}

}  // namespace
}  // namespace stylescope
