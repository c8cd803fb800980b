// On any number of ranks the figures of features are those of one.
#include "distributed/work_partition.hpp"
#include "stages/metrics/kernel_distance.hpp"
#include "stages/metrics/neighbours.hpp"
#include "stages/metrics/streaming_moments.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::world;

torch::Tensor features(const char* name, int64_t n) {
  return golden::values(name, 1, {n, 6}).to(torch::kDouble);
}

TEST(MetricsOnRanks, MomentsAreReduced) {
  const auto x = features("ranks.x", 101) + 100;
  // One of three ranks has nothing to add; the last has all but one.
  const auto share = world().size() < 3    ? share_of(101, world().rank(), world().size())
                     : world().rank() == 0 ? IndexRange{0, 1}
                     : world().rank() == 1 ? IndexRange{1, 1}
                                           : IndexRange{1, 101};
  StreamingMoments mine(6);
  mine.add(x.slice(0, share.begin, share.end));
  mine.reduce(world());
  const auto m = mine.moments(1), whole = moments(x, 1);
  EXPECT_EQ(mine.count(), 101);
  EXPECT_LE((m.mean - whole.mean).abs().max().item<double>(), 1e-10);
  EXPECT_LE((m.covariance - whole.covariance).abs().max().item<double>(), 1e-10);
}

TEST(MetricsOnRanks, NoImagesAnywhere) {
  StreamingMoments none(6);
  none.reduce(world());
  EXPECT_EQ(none.count(), 0);
}

TEST(MetricsOnRanks, SameBitsAsOnOne) {
  SelfCommunicator self;
  const auto real = features("ranks.real", 600), generated = features("ranks.generated", 530) * 1.2;
  const auto together = kernel_distance(real, generated, {7, 50, 1}, world());
  const auto alone = kernel_distance(real, generated, {7, 50, 1}, self);
  EXPECT_EQ(together.mean, alone.mean);
  EXPECT_EQ(together.deviation, alone.deviation);
  const auto a = nearest_points(generated, real, 2, world()),
             b = nearest_points(generated, real, 2, self);
  EXPECT_TRUE(a.distance.equal(b.distance));
  EXPECT_TRUE(a.index.equal(b.index));
  const auto p = precision_recall(real, generated, 3, world()),
             q = precision_recall(real, generated, 3, self);
  EXPECT_EQ(p.precision, q.precision);
  EXPECT_EQ(p.recall, q.recall);
}

// Fewer blocks than ranks: those without one take part.
TEST(MetricsOnRanks, FewQueries) {
  SelfCommunicator self;
  const auto points = features("ranks.real", 20);
  EXPECT_TRUE(
      nearest_others(points, 1, world()).distance.equal(nearest_others(points, 1, self).distance));
}

}  // namespace
}  // namespace stylescope
