#include "stages/metrics/streaming_moments.hpp"

#include "io/base/error.hpp"
#include "tests/support/golden.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

void expect_same(const Moments& a, const Moments& b, double tolerance) {
  EXPECT_LE((a.mean - b.mean).abs().max().item<double>(), tolerance);
  EXPECT_LE((a.covariance - b.covariance).abs().max().item<double>(), tolerance);
}

TEST(StreamingMoments, PiecesAreTheWhole) {
  const auto x = golden::values("streaming.x", 1, {100, 7});
  const auto whole = moments(x, 1);
  StreamingMoments pieces(7);
  for (const auto& [from, to] : {std::pair{0, 1}, {1, 1}, {1, 40}, {40, 100}})
    pieces.add(x.slice(0, from, to));
  EXPECT_EQ(pieces.count(), 100);
  expect_same(pieces.moments(1), whole, 1e-14);
}

TEST(StreamingMoments, MergedAreOnePass) {
  const auto x = golden::values("streaming.x", 1, {100, 7});
  StreamingMoments left(7), right(7), empty(7), all(7);
  left.add(x.slice(0, 0, 33));
  right.add(x.slice(0, 33));
  all.add(x);
  left.merge(empty);
  left.merge(right);
  expect_same(left.moments(0), all.moments(0), 1e-14);
  empty.merge(all);
  expect_same(empty.moments(0), all.moments(0), 0);
}

// Far from the origin, where sums of squares would lose everything.
TEST(StreamingMoments, KeepsSmallSpreadsFarAway) {
  const auto x = golden::values("streaming.x", 1, {64, 3}).to(torch::kDouble);
  StreamingMoments near(3), far(3);
  for (const auto& piece : x.split(10)) {
    near.add(piece);
    far.add(piece + 1e6);
  }
  EXPECT_LE((near.moments(1).covariance - far.moments(1).covariance).abs().max().item<double>(),
            1e-8);
}

TEST(StreamingMoments, ByHand) {
  StreamingMoments two(2);
  two.add(torch::tensor({{1.0, 0.0}}));
  EXPECT_THROW(two.moments(1), Error);
  two.add(torch::tensor({{3.0, 4.0}}));
  const auto m = two.moments(1);
  EXPECT_TRUE(m.mean.equal(torch::tensor({2.0, 2.0}, torch::kDouble)));
  EXPECT_TRUE(m.covariance.equal(torch::tensor({{2.0, 4.0}, {4.0, 8.0}}, torch::kDouble)));
}

}  // namespace
}  // namespace stylescope
