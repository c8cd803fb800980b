// The lambda at which f reaches a probability.
#include "stages/explain/target_search.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

torch::Tensor grid() { return torch::arange(-3, 4, torch::kFloat64); }

TEST(TargetSearch, FindsWhereALogisticCurveReachesItsTargets) {
  // f(lambda) = sigmoid(2 lambda - 1): reaches p at (logit p + 1) / 2.
  int64_t calls = 0;
  const auto curve = [&](const torch::Tensor& lambda) {
    ++calls;
    return torch::sigmoid(2 * lambda - 1);
  };
  const std::vector<double> targets = {0.1, 0.5, 0.9};
  const auto found = find_targets(grid(), curve(grid()), targets, curve, 1e-6);
  for (size_t i = 0; i < targets.size(); ++i) {
    EXPECT_NEAR(found[i].probability, targets[i], 1e-6);
    EXPECT_NEAR(found[i].lambda, (std::log(targets[i] / (1 - targets[i])) + 1) / 2, 1e-5);
  }
  EXPECT_LE(calls, 4) << "the logit is straight, so the chord meets it at once";
}

TEST(TargetSearch, ATargetOutOfReachIsNaN) {
  const auto curve = [](const torch::Tensor& lambda) { return torch::sigmoid(0.1 * lambda); };
  const auto found = find_targets(grid(), curve(grid()), {0.9, 0.5}, curve);
  EXPECT_TRUE(std::isnan(found[0].lambda));
  EXPECT_TRUE(std::isnan(found[0].probability));
  EXPECT_NEAR(found[1].lambda, 0, 1e-2);
}

TEST(TargetSearch, TakesTheCrossingNearestToZero) {
  // A wave: one half at every multiple of 1.6; around 0 nothing reaches 0.8 but the nearest crest,
  // at 0.8.
  const auto curve = [](const torch::Tensor& lambda) {
    return 0.5 + 0.4 * torch::sin(lambda * M_PI / 1.6);
  };
  const auto fine = torch::linspace(-3, 3, 61, torch::kFloat64);
  const auto found = find_targets(fine, curve(fine), {0.8}, curve, 1e-6);
  EXPECT_NEAR(found[0].probability, 0.8, 1e-6);
  EXPECT_NEAR(found[0].lambda, std::asin(0.75) * 1.6 / M_PI, 1e-4);
}

TEST(TargetSearch, AJumpEndsAtItsBetterSide) {
  const auto curve = [](const torch::Tensor& lambda) {
    return torch::where(lambda.lt(0.4), torch::full_like(lambda, 0.2),
                        torch::full_like(lambda, 0.6));
  };
  const auto found = find_targets(grid(), curve(grid()), {0.5}, curve);
  EXPECT_DOUBLE_EQ(found[0].probability, 0.6);
  EXPECT_NEAR(found[0].lambda, 0.4, 1e-3);
}

TEST(TargetSearch, ScoresOfExactlyZeroAndOneDoNotStopIt) {
  const auto curve = [](const torch::Tensor& lambda) {
    return lambda.gt(0.7).to(torch::kFloat64) * 0.5 + lambda.gt(1.3).to(torch::kFloat64) * 0.5;
  };
  const auto found = find_targets(grid(), curve(grid()), {0.5}, curve);
  EXPECT_DOUBLE_EQ(found[0].probability, 0.5);
  EXPECT_GT(found[0].lambda, 0.7);
  EXPECT_LE(found[0].lambda, 1.3);
}

}  // namespace
}  // namespace stylescope
