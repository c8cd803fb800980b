#include "stages/training/prefetch.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

using namespace std::chrono_literals;

TEST(Prefetcher, GivesEachStepItsOwnInOrderFromTheResumedOneOn) {
  for (const bool threaded : {true, false}) {
    std::vector<int64_t> made;
    {
      Prefetcher<std::string> loader(
          7, 40,
          [&](int64_t step) {
            made.push_back(step);
            return "batch " + std::to_string(step);
          },
          threaded);
      for (int64_t step = 7; step < 40; ++step)
        EXPECT_EQ(loader.take(step), "batch " + std::to_string(step));
      EXPECT_GE(loader.wait_seconds(), 0);
    }
    ASSERT_EQ(made.size(), 33U);
    for (size_t i = 0; i < made.size(); ++i) EXPECT_EQ(made[i], static_cast<int64_t>(i) + 7);
  }
}

TEST(Prefetcher, MakesTheNextOnesBesideTheStepButNotMoreThanTwo) {
  std::atomic<int64_t> made = 0;
  const auto maker = std::make_shared<std::promise<std::thread::id>>();
  Prefetcher<int64_t> loader(0, 100, [&](int64_t step) {
    if (step == 0) maker->set_value(std::this_thread::get_id());
    ++made;
    return step;
  });
  EXPECT_NE(maker->get_future().get(), std::this_thread::get_id());
  for (int tries = 0; made < 2 && tries < 5000; ++tries) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(made.load(), 2);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(made.load(), 2) << "more than the queue holds";
  EXPECT_EQ(loader.take(0), 0);
  for (int tries = 0; made < 3 && tries < 5000; ++tries) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(made.load(), 3);
}

TEST(Prefetcher, TellsAFailureToTheStepThatItBelongsTo) {
  for (const bool threaded : {true, false}) {
    Prefetcher<int64_t> loader(
        0, 10,
        [](int64_t step) {
          validate(step < 2, "images.h5: image ", step, " cannot be read; run ingest again");
          return step;
        },
        threaded);
    EXPECT_EQ(loader.take(0), 0);
    EXPECT_EQ(loader.take(1), 1);
    for (int again = 0; again < 2; ++again) try {
        loader.take(2);
        FAIL() << "the failure was lost";
      } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "images.h5: image 2 cannot be read; run ingest again");
      }
  }
}

TEST(Prefetcher, EndsEarlyAndAtOnce) {
  auto kept = std::make_shared<int>(0);
  {
    Prefetcher<std::shared_ptr<int>> untouched(0, 1'000'000, [&](int64_t) { return kept; });
  }
  EXPECT_EQ(kept.use_count(), 1) << "something still holds what was made";
  Prefetcher<std::shared_ptr<int>> nothing_to_do(5, 5, [&](int64_t) { return kept; });
  EXPECT_THROW(nothing_to_do.take(5), std::logic_error);
}

TEST(Prefetcher, CountsWhatTheStepsWaited) {
  Prefetcher<int64_t> slow(0, 2, [](int64_t step) {
    std::this_thread::sleep_for(30ms);
    return step;
  });
  slow.take(0);
  EXPECT_GE(slow.wait_seconds(), 0.01);
}

TEST(Prefetcher, RefusesAnotherStepThanTheNext) {
  Prefetcher<int64_t> loader(0, 5, [](int64_t step) { return step; });
  EXPECT_THROW(loader.take(1), std::logic_error);
}

TEST(Staging, LeavesTensorsOfTheCpuAlone) {
  const auto x = torch::arange(6, torch::kUInt8).reshape({2, 3});
  EXPECT_TRUE(staged_for(torch::kCPU, x).is_same(x));
  EXPECT_TRUE(to_device(x, torch::kCPU).is_same(x));
  EXPECT_FALSE(staged_for(torch::kCUDA, torch::Tensor()).defined());
}

TEST(Staging, CopiesBesideTheHostOnAGpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU here";
  const auto x = torch::arange(6, torch::kUInt8).reshape({2, 3});
  const auto staged = staged_for(torch::kCUDA, x);
  EXPECT_TRUE(staged.is_pinned());
  EXPECT_TRUE(torch::equal(to_device(staged, torch::kCUDA).cpu(), x));
}

}  // namespace
}  // namespace stylescope
