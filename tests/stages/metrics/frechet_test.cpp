#include "stages/metrics/frechet.hpp"

#include "io/base/error.hpp"
#include "tests/support/golden.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

torch::Tensor stat(const std::string& key) { return golden::load("stats").at(key); }

Moments stored(const std::string& name, const std::string& which) {
  return {stat("fid/" + name + ".mu" + which), stat("fid/" + name + ".sigma" + which)};
}

TEST(Frechet, Golden) {
  const double full = stat("fid/full.value").item<double>();
  EXPECT_NEAR(frechet_distance(stored("full", "1"), stored("full", "2")), full, 1e-10 * full);
  EXPECT_NEAR(frechet_distance(stored("same", "1"), stored("same", "2")), 0, 1e-12);
}

// The stored covariances have rank 39 and 29 in 64 dimensions. In 40-digit arithmetic (mpmath's
// eigsy, eigenvalues below 1e-14 of the largest taken as zero) their distance is the number below.
// The golden value is a float64 one that still holds the square roots of some sixty eigenvalues
// that are rounding: it is off by 1.7e-6, which is the bound it is held to.
TEST(Frechet, RankDeficient) {
  const double exact = 73.68503816324216747;
  const double ours = frechet_distance(stored("rankdef", "1"), stored("rankdef", "2"));
  EXPECT_NEAR(ours, exact, 1e-12 * exact);
  EXPECT_NEAR(ours, stat("fid/rankdef.value").item<double>(), 2e-6);
}

TEST(Frechet, DegenerateByHand) {
  // Covariances a a^T and b b^T: tr (..)^1/2 is |a . b|.
  const auto a = golden::values("frechet.a", 1, {24});
  const auto b = golden::values("frechet.b", 1, {24});
  const auto zero = torch::zeros({24}, torch::kDouble);
  const double expected = (a.dot(a) + b.dot(b) - 2 * a.dot(b).abs()).item<double>();
  EXPECT_NEAR(frechet_distance({zero, a.outer(a)}, {zero, b.outer(b)}), expected, 1e-12 * expected);
}

TEST(Moments, Golden) {
  for (const std::string which : {"1", "2"}) {
    const auto m = moments(stat("fid/full.x" + which), 1);
    golden::expect_equal("stats", "fid/full.mu" + which, m.mean, 1e-12);
    golden::expect_equal("stats", "fid/full.sigma" + which, m.covariance, 1e-12);
  }
  EXPECT_THROW(moments(torch::zeros({1, 3}), 1), Error);
}

}  // namespace
}  // namespace stylescope
