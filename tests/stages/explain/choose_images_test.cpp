// Which images are explained.
#include "stages/explain/choose_images.hpp"

#include <set>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

struct Pool {
  torch::Tensor labels =
      torch::cat({torch::zeros({30}, torch::kLong), torch::ones({10}, torch::kLong)});
  torch::Tensor scores = torch::linspace(0, 1, 40, torch::kFloat64).flip(0).contiguous();
  std::vector<std::string> subjects;
  Pool() {
    for (int i = 0; i < 40; ++i) subjects.push_back("s" + std::to_string(i / 2));
  }
};

TEST(ChooseImages, LabelsComeEvenlyAndScoresAreSpread) {
  const Pool pool;
  const auto chosen = choose_images(pool.labels, pool.scores, pool.subjects, 10, 1);
  ASSERT_EQ(chosen.size(), 10U);
  EXPECT_EQ(std::set<int64_t>(chosen.begin(), chosen.end()).size(), 10U);
  std::vector<int64_t> negatives, positives;
  for (const auto i : chosen) (i < 30 ? negatives : positives).push_back(i);
  ASSERT_EQ(negatives.size(), 5U);
  ASSERT_EQ(positives.size(), 5U);
  // Scores fall with the position: of 30 negatives by rising score, each sixth holds one.
  for (size_t part = 0; part < 5; ++part) {
    const auto rank = 29 - negatives[part];
    EXPECT_EQ(rank / 6, static_cast<int64_t>(part));
    EXPECT_EQ((39 - positives[part]) / 2, static_cast<int64_t>(part));
  }
}

TEST(ChooseImages, SubjectsAreNotRepeatedWhereThatCanBe) {
  const Pool pool;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::set<std::string> seen;
    for (const auto i : choose_images(pool.labels, pool.scores, pool.subjects, 8, seed))
      EXPECT_TRUE(seen.insert(pool.subjects[static_cast<size_t>(i)]).second) << seed;
  }
}

TEST(ChooseImages, TheSeedDecidesAndNothingElse) {
  const Pool pool;
  EXPECT_EQ(choose_images(pool.labels, pool.scores, pool.subjects, 8, 1),
            choose_images(pool.labels, pool.scores, pool.subjects, 8, 1));
  EXPECT_NE(choose_images(pool.labels, pool.scores, pool.subjects, 8, 1),
            choose_images(pool.labels, pool.scores, pool.subjects, 8, 2));
}

TEST(ChooseImages, MoreThanThereAreGivesAll) {
  const Pool pool;
  const auto chosen = choose_images(pool.labels, pool.scores, pool.subjects, 1000, 1);
  EXPECT_EQ(std::set<int64_t>(chosen.begin(), chosen.end()).size(), 40U);
  EXPECT_EQ(chosen.size(), 40U);
}

}  // namespace
}  // namespace stylescope
