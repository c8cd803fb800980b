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

TEST(OnRoot, AFailureReachesEveryRank) {
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

TEST(StopSignal, ADeafOneLeavesSignalsAlone) {
  struct sigaction before {
  }, now{};
  sigaction(SIGTERM, nullptr, &before);
  const StopSignal stop(StopSignal::Hearing::deaf);
  sigaction(SIGTERM, nullptr, &now);
  EXPECT_EQ(now.sa_handler, before.sa_handler);
  EXPECT_FALSE(stop.requested());
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
