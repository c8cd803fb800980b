#include "stages/metrics/neighbours.hpp"

#include "io/base/error.hpp"
#include "tests/support/golden.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

torch::Tensor features(const char* name, int64_t n, int64_t d = 4) {
  return golden::values(name, 1, {n, d}).to(torch::kDouble);
}

torch::Tensor plain_distances(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(2).sqrt();
}

// More queries and points than a block of either holds.
TEST(Neighbours, BlocksFindWhatAllPairsFind) {
  SelfCommunicator self;
  const auto queries = features("queries", 300, 2), points = features("points", 8200, 2);
  const auto found = nearest_points(queries, points, 3, self);
  const auto [distance, index] = plain_distances(queries, points).topk(3, 1, false);
  EXPECT_LE((found.distance - distance).abs().max().item<double>(), 1e-14);
  EXPECT_TRUE(found.index.equal(index));
}

TEST(Neighbours, OthersLeaveThePointItselfOut) {
  SelfCommunicator self;
  auto points = features("points", 260);
  points[259] = points[3];
  const auto found = nearest_others(points, 2, self);
  EXPECT_EQ(found.index[3][0].item<int64_t>(), 259);
  EXPECT_EQ(found.index[259][0].item<int64_t>(), 3);
  EXPECT_EQ(found.distance[3][0].item<double>(), 0);
  const auto all = plain_distances(points, points) + torch::full({260}, 1e9, torch::kDouble).diag();
  EXPECT_LE((found.distance - std::get<0>(all.topk(2, 1, false))).abs().max().item<double>(),
            1e-14);
  EXPECT_THROW(nearest_others(points.slice(0, 0, 2), 2, self), Error);
}

// A copy lies at distance 0 also where all features are far from the origin.
TEST(Neighbours, CopiesLieAtZero) {
  SelfCommunicator self;
  const auto points = (features("points", 50) + 1e4).to(torch::kFloat32);
  const auto found = nearest_points(points.slice(0, 7, 9), points, 1, self);
  EXPECT_TRUE(found.distance.eq(0).all().item<bool>());
  EXPECT_TRUE(found.index.flatten().equal(torch::tensor({7, 8}, torch::kLong)));
}

// On a line, k = 1. Real 0, 1, 3: they reach 1, 1, 2, so that they cover [-1, 5]. Generated -2,
// 0.6, 9: 0.6 alone lies there. These reach 2.6, 2.6, 8.4 and cover [-4.6, 3.2] and [0.6, 17.4].
TEST(PrecisionRecall, ByHand) {
  SelfCommunicator self;
  const auto line = [](const std::vector<double>& places) {
    return torch::tensor(places, torch::kDouble).unsqueeze(1);
  };
  const auto result = precision_recall(line({0, 1, 3}), line({-2, 0.6, 9}), 1, self);
  EXPECT_DOUBLE_EQ(result.precision, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.recall, 1);
  const auto swapped = precision_recall(line({-2, 0.6, 9}), line({0, 1, 3}), 1, self);
  EXPECT_DOUBLE_EQ(swapped.precision, 1);
  EXPECT_DOUBLE_EQ(swapped.recall, 1.0 / 3);
}

TEST(PrecisionRecall, IsTheDefinition) {
  SelfCommunicator self;
  const auto real = features("real", 320), generated = features("generated", 280) * 1.4;
  const auto share = [](const torch::Tensor& queries, const torch::Tensor& points) {
    // The point itself is the first of the four nearest.
    const auto radius = std::get<0>(plain_distances(points, points).kthvalue(4, 1));
    return (plain_distances(queries, points) <= radius)
        .any(1)
        .to(torch::kDouble)
        .mean()
        .item<double>();
  };
  const auto result = precision_recall(real, generated, 3, self);
  EXPECT_DOUBLE_EQ(result.precision, share(generated, real));
  EXPECT_DOUBLE_EQ(result.recall, share(real, generated));
  EXPECT_LT(result.precision, 1);
  EXPECT_THROW(precision_recall(real.slice(0, 0, 3), generated, 3, self), Error);
}

}  // namespace
}  // namespace stylescope
