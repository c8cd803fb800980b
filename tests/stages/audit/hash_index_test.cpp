#include "stages/audit/hash_index.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

std::vector<uint64_t> random_hashes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> hashes(count);
  std::generate(hashes.begin(), hashes.end(), random);
  return hashes;
}

std::multiset<std::pair<int64_t, int>> found_by(const HashIndex& index, uint64_t hash) {
  std::vector<HashMatch> matches;
  index.find(hash, matches);
  std::multiset<std::pair<int64_t, int>> found;
  for (const auto& match : matches) found.insert({match.index, match.distance});
  return found;
}

std::multiset<std::pair<int64_t, int>> found_by_looking_at_all(const std::vector<uint64_t>& hashes,
                                                               uint64_t hash, int distance) {
  std::multiset<std::pair<int64_t, int>> found;
  for (size_t i = 0; i < hashes.size(); ++i)
    if (const int d = std::popcount(hashes[i] ^ hash); d <= distance)
      found.insert({static_cast<int64_t>(i), d});
  return found;
}

TEST(HashIndex, FindsWhatLookingAtAllFindsEachOnce) {
  auto hashes = random_hashes(3000, 1);
  const auto queries = random_hashes(40, 2);
  std::mt19937_64 random(3);
  // Neighbours at every distance, in bits of one band and of all.
  for (const uint64_t query : queries)
    for (int bits = 0; bits <= 20; ++bits) {
      uint64_t near = query, in_one_band = query;
      for (int i = 0; i < bits; ++i) near ^= uint64_t{1} << random() % 64;
      for (int i = 0; i < bits % 16; ++i) in_one_band ^= uint64_t{1} << (16 + i);
      hashes.push_back(near);
      hashes.push_back(in_one_band);
    }
  size_t matches = 0;
  for (const int distance : {0, 1, 3, 4, 7, 10, 11, 15}) {
    const HashIndex index(hashes, distance);
    for (const uint64_t query : queries) {
      const auto expected = found_by_looking_at_all(hashes, query, distance);
      EXPECT_EQ(found_by(index, query), expected) << distance;
      matches += expected.size();
    }
  }
  EXPECT_GT(matches, 3000U);
}

TEST(HashIndex, EqualHashesAndNone) {
  const HashIndex index({5, 5, 4}, 0);
  EXPECT_EQ(found_by(index, 5), (std::multiset<std::pair<int64_t, int>>{{0, 0}, {1, 0}}));
  EXPECT_TRUE(found_by(HashIndex({}, 10), 5).empty());
}

}  // namespace
}  // namespace stylescope
