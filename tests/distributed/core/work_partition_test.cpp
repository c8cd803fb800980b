#include "distributed/work_partition.hpp"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

TEST(ShareOf, CoversEverythingOnceAndEvenly) {
  for (const int64_t n : {0, 1, 5, 7, 64})
    for (const int size : {1, 2, 3, 4, 9}) {
      int64_t next = 0;
      for (int rank = 0; rank < size; ++rank) {
        const auto mine = share_of(n, rank, size);
        EXPECT_EQ(mine.begin, next);
        EXPECT_GE(mine.size(), n / size);
        EXPECT_LE(mine.size(), n / size + 1);
        next = mine.end;
      }
      EXPECT_EQ(next, n);
    }
}

// The rule of minibatch stddev: sample i of a batch of n belongs to group i mod (n / group).
std::vector<std::vector<int64_t>> groups_of(const std::vector<int64_t>& samples, int64_t group) {
  const auto columns = static_cast<int64_t>(samples.size()) / group;
  std::vector<std::vector<int64_t>> groups(static_cast<size_t>(columns));
  for (size_t i = 0; i < samples.size(); ++i)
    groups[i % static_cast<size_t>(columns)].push_back(samples[i]);
  return groups;
}

TEST(DealGroups, KeepsTheGroupsOfTheGlobalBatch) {
  std::vector<int64_t> all(24);
  std::iota(all.begin(), all.end(), 0);
  auto expected = groups_of(all, 4);
  for (const int size : {1, 2, 3, 4, 5, 8}) {
    std::vector<std::vector<int64_t>> dealt;
    for (int rank = 0; rank < size; ++rank) {
      const auto mine = deal_groups(24, 4, rank, size);
      if (mine.empty()) continue;
      for (auto& group : groups_of(mine, 4)) dealt.push_back(group);
    }
    std::sort(dealt.begin(), dealt.end());
    EXPECT_EQ(dealt, expected) << size << " ranks";
  }
  EXPECT_EQ(deal_groups(24, 4, 0, 1), all);
  EXPECT_TRUE(deal_groups(8, 4, 0, 4).empty());
}

TEST(DealRounds, CutsARanksGroupsIntoBatchesOfTheirOwn) {
  std::vector<int64_t> all(24);
  std::iota(all.begin(), all.end(), 0);
  const auto expected = groups_of(all, 4);
  for (const int size : {1, 2, 3, 8})
    for (const int64_t limit : {0, 4, 8, 12, 100}) {
      std::vector<std::vector<int64_t>> dealt;
      for (int rank = 0; rank < size; ++rank)
        for (const auto& round : deal_rounds(24, 4, limit, rank, size)) {
          ASSERT_FALSE(round.empty());
          if (limit > 0) EXPECT_LE(static_cast<int64_t>(round.size()), limit);
          for (auto& group : groups_of(round, 4)) dealt.push_back(group);
        }
      std::sort(dealt.begin(), dealt.end());
      EXPECT_EQ(dealt, expected) << size << " ranks, at most " << limit;
    }
  EXPECT_EQ(deal_rounds(24, 4, 8, 0, 1).size(), 3U);
  EXPECT_EQ(deal_rounds(24, 4, 0, 0, 1).size(), 1U);
}

}  // namespace
}  // namespace stylescope
