#include "stages/training/sampler.hpp"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

std::vector<int64_t> samples(EpochSampler& sampler, int64_t begin, int64_t end) {
  std::vector<int64_t> numbers(static_cast<size_t>(end - begin));
  std::iota(numbers.begin(), numbers.end(), begin);
  return sampler.indices(numbers);
}

TEST(EpochSampler, EveryEpochShowsEveryImageOnceInAnOrderOfItsOwn) {
  EpochSampler sampler(3, "test.images", 50);
  std::vector<std::vector<int64_t>> epochs;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    auto shown = samples(sampler, epoch * 50, (epoch + 1) * 50);
    epochs.push_back(shown);
    std::sort(shown.begin(), shown.end());
    for (int64_t i = 0; i < 50; ++i) EXPECT_EQ(shown[static_cast<size_t>(i)], i);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  EXPECT_NE(epochs[0], epochs[2]);
}

TEST(EpochSampler, DependsOnTheSampleNumberAlone) {
  EpochSampler forward(3, "test.images", 7), backward(3, "test.images", 7);
  const auto in_order = samples(forward, 0, 70);
  for (int64_t n = 69; n >= 0; --n)
    EXPECT_EQ(backward.index(n), in_order[static_cast<size_t>(n)]) << n;
  for (const int64_t n : {68, 0, 35, 1, 68, 6, 7})
    EXPECT_EQ(forward.index(n), in_order[static_cast<size_t>(n)]) << n;
}

TEST(EpochSampler, SeedAndPurposeMakeOtherSequences) {
  EpochSampler one(3, "test.images", 40), seed(4, "test.images", 40), purpose(3, "test.other", 40);
  EXPECT_NE(samples(one, 0, 40), samples(seed, 0, 40));
  EXPECT_NE(samples(one, 0, 40), samples(purpose, 0, 40));
}

}  // namespace
}  // namespace stylescope
