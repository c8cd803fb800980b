#include "distributed/random.hpp"

#include <set>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

TEST(KeyedRandom, ASampleIsTheSameWhateverIsDrawnBesideIt) {
  const RandomKey key{3, "test.z", 7};
  const auto all = keyed_normal(key, {0, 1, 2, 3, 4}, {33}, torch::kFloat32);
  const auto some = keyed_normal(key, {3, 1}, {33}, torch::kFloat32);
  EXPECT_TRUE(torch::equal(some[0], all[3]));
  EXPECT_TRUE(torch::equal(some[1], all[1]));
  EXPECT_EQ(keyed_normal(key, at::ArrayRef<int64_t>{}, {33}, torch::kFloat32).size(0), 0);
}

TEST(KeyedRandom, EveryPartOfTheKeyCounts) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 0; seed < 4; ++seed)
    for (const char* purpose : {"a", "b", "ab", "ba", ""})
      for (int64_t step = 0; step < 8; ++step)
        for (int64_t sample = -1; sample < 8; ++sample)
          hashes.insert(hash_key({seed, purpose, step}, sample));
  EXPECT_EQ(hashes.size(), 4u * 5u * 8u * 9u);
}

TEST(KeyedRandom, HasTheMomentsOfItsDistribution) {
  std::vector<int64_t> samples(2000);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<int64_t>(i);
  const auto normal = keyed_normal({1, "test.moments", 0}, samples, {16}, torch::kFloat64);
  // 32,000 numbers: the standard error of the mean is 0.0056, of the variance 0.008; bounds at 5 of
  // them.
  EXPECT_NEAR(normal.mean().item<double>(), 0, 0.028);
  EXPECT_NEAR(normal.var().item<double>(), 1, 0.04);
  // First draws of neighbouring keys must not be correlated (a weakly mixed seed would show here).
  const auto first = normal.select(1, 0);
  EXPECT_NEAR((first.slice(0, 0, 1999) * first.slice(0, 1, 2000)).mean().item<double>(), 0, 0.112);
  const auto uniform = keyed_uniform({1, "test.moments", 0}, samples, {16}, torch::kFloat64);
  EXPECT_NEAR(uniform.mean().item<double>(), 0.5, 0.009);
  EXPECT_GE(uniform.min().item<double>(), 0);
  EXPECT_LT(uniform.max().item<double>(), 1);
}

TEST(KeyedRandom, PermutationIsAPermutation) {
  const auto p = keyed_permutation({5, "test.permutation", 2}, 100);
  EXPECT_TRUE(torch::equal(std::get<0>(p.sort()), torch::arange(100)));
  EXPECT_FALSE(torch::equal(p, keyed_permutation({5, "test.permutation", 3}, 100)));
  EXPECT_TRUE(torch::equal(p, keyed_permutation({5, "test.permutation", 2}, 100)));
}

TEST(KeyedRandom, IntegersStayBelowTheBound) {
  std::set<int64_t> seen;
  for (int64_t sample = 0; sample < 200; ++sample)
    seen.insert(keyed_integer({1, "test.integer", 0}, 5, sample));
  EXPECT_EQ(seen, (std::set<int64_t>{0, 1, 2, 3, 4}));
}

}  // namespace
}  // namespace stylescope
