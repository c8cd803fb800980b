#include "stages/images/subject_split.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

constexpr SplitShares kShares{0.7, 0.15, 0.15};

// 300 subjects of three images; labels 0 (200 subjects), 1 (70), both in turn (30).
std::vector<SubjectImage> population() {
  std::vector<SubjectImage> images;
  for (int64_t subject = 0; subject < 300; ++subject)
    for (int64_t i = 0; i < 3; ++i)
      images.push_back(
          {"s" + std::to_string(subject), subject < 200 ? 0 : (subject < 270 ? 1 : i % 2)});
  return images;
}

std::map<std::string, Split> by_subject(const std::vector<SubjectImage>& images,
                                        const std::vector<Split>& splits) {
  std::map<std::string, Split> result;
  for (size_t i = 0; i < images.size(); ++i) result[images[i].subject] = splits[i];
  return result;
}

TEST(SplitBySubject, KeepsASubjectTogether) {
  const auto images = population();
  const auto splits = split_by_subject(images, kShares, 1);
  const auto split_of = by_subject(images, splits);
  for (size_t i = 0; i < images.size(); ++i) EXPECT_EQ(splits[i], split_of.at(images[i].subject));
}

TEST(SplitBySubject, SharesOutEveryStratum) {
  const auto images = population();
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::array<std::array<double, 3>, 3> count{};
    std::array<double, 3> all{};
    for (const auto& [subject, split] :
         by_subject(images, split_by_subject(images, kShares, seed))) {
      const int number = std::stoi(subject.substr(1));
      ++count[number < 200 ? 0 : (number < 270 ? 1 : 2)][static_cast<size_t>(split)];
      ++all[static_cast<size_t>(split)];
    }
    const std::array<double, 3> size{200, 70, 30};
    for (size_t s = 0; s < 3; ++s) {
      EXPECT_NEAR(all[s], 300 * kShares[s], 1);
      for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(count[k][s], size[k] * kShares[s], 2);
    }
  }
}

TEST(SplitBySubject, DependsOnTheSeedAndNotOnTheOrder) {
  const auto images = population();
  auto reversed = images;
  std::reverse(reversed.begin(), reversed.end());
  const auto one = by_subject(images, split_by_subject(images, kShares, 1));
  EXPECT_EQ(one, by_subject(images, split_by_subject(images, kShares, 1)));
  EXPECT_EQ(one, by_subject(reversed, split_by_subject(reversed, kShares, 1)));
  EXPECT_NE(one, by_subject(images, split_by_subject(images, kShares, 2)));
}

TEST(SplitBySubject, AShareOfZeroGetsNobody) {
  const auto splits = split_by_subject(population(), {0, 0.5, 0.5}, 1);
  EXPECT_EQ(std::count(splits.begin(), splits.end(), Split::train), 0);
  EXPECT_NEAR(static_cast<double>(std::count(splits.begin(), splits.end(), Split::test)), 450, 3);
}

}  // namespace
}  // namespace stylescope
