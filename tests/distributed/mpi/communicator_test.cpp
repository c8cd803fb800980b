// The contract of Communicator, on every number of ranks it is registered with.
#include "distributed/communicator.hpp"

#include "distributed/stop_signal.hpp"
#include "io/base/error.hpp"
#include "tests/support/world.hpp"

#include <chrono>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::world;

TEST(Communicator, AllReduce) {
  const double n = world().size();
  for (const auto dtype : {torch::kFloat64, torch::kFloat32, torch::kInt64, torch::kInt32}) {
    auto sum = torch::full({3, 5}, world().rank() + 1, dtype);
    world().all_reduce(sum);
    EXPECT_TRUE(
        torch::equal(sum, torch::full({3, 5}, static_cast<int64_t>(n * (n + 1) / 2), dtype)));
    auto largest = torch::full({2}, world().rank(), dtype);
    world().all_reduce(largest, ReduceOp::max);
    EXPECT_TRUE(torch::equal(largest, torch::full({2}, static_cast<int64_t>(n - 1), dtype)));
    auto smallest = torch::full({2}, world().rank() + 4, dtype);
    world().all_reduce(smallest, ReduceOp::min);
    EXPECT_TRUE(torch::equal(smallest, torch::full({2}, 4, dtype)));
  }
  EXPECT_EQ(world().all_reduce(2.5), 2.5 * n);
}

TEST(Communicator, TwoReductionsUnderWay) {
  auto a = torch::ones({1000}), b = torch::full({7}, 2.0, torch::kFloat64);
  auto first = world().all_reduce_async(a, ReduceOp::sum);
  auto second = world().all_reduce_async(b, ReduceOp::sum);
  second->wait();
  first->wait();
  EXPECT_EQ(a.sum().item<double>(), 1000.0 * world().size());
  EXPECT_EQ(b[0].item<double>(), 2.0 * world().size());
}

TEST(Communicator, BroadcastAndGather) {
  auto tensor = torch::full({4}, world().rank(), torch::kInt64);
  const int root = world().size() - 1;
  world().broadcast(tensor, root);
  EXPECT_TRUE(torch::equal(tensor, torch::full({4}, root, torch::kInt64)));

  // Another number of rows on every rank, none on the first.
  const auto rows = torch::full({world().rank(), 2}, world().rank(), torch::kFloat64);
  const auto gathered = world().all_gather(rows);
  ASSERT_EQ(static_cast<int>(gathered.size()), world().size());
  for (int r = 0; r < world().size(); ++r)
    EXPECT_TRUE(
        torch::equal(gathered[static_cast<size_t>(r)], torch::full({r, 2}, r, torch::kFloat64)));

  EXPECT_EQ(world().broadcast(world().is_root() ? "a word" : "", 0), "a word");
  EXPECT_EQ(world().broadcast("", 0), "");
  const auto texts = world().all_gather(std::string(static_cast<size_t>(world().rank()), 'x'));
  for (int r = 0; r < world().size(); ++r)
    EXPECT_EQ(texts[static_cast<size_t>(r)].size(), static_cast<size_t>(r));
}

TEST(Communicator, WorkOfTheRootFailsOnEveryRank) {
  int done = 0;
  on_root(world(), [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    done = 1;
  });
  EXPECT_EQ(done, world().is_root() ? 1 : 0);
  try {
    on_root(world(), [] { throw Error("disk full"); });
    FAIL() << "no exception";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "disk full");
  }
  // The kind decides the exit code, and must be the same everywhere.
  EXPECT_THROW(on_root(world(), [] { throw Interrupted("stopped"); }), Interrupted);
  EXPECT_THROW(on_root(world(), [] { throw UsageError("no such class"); }), UsageError);
}

TEST(StopSignal, OneRankAsksAllAgree) {
  StopSignal stop;
  EXPECT_FALSE(stop.agreed(world()));
  if (world().rank() == world().size() - 1) std::raise(SIGTERM);
  EXPECT_EQ(stop.requested(), world().rank() == world().size() - 1);
  EXPECT_TRUE(stop.agreed(world()));
}

}  // namespace
}  // namespace stylescope
