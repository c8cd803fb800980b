#include "stages/tile/tile_sampler.hpp"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::ElementsAre;

// 100 places: 0..29 positive, 30..49 negative near the border, 50..89 negative, 90..99 no
// candidates.
std::vector<TilePlace> places() {
  std::vector<TilePlace> places(100);
  for (size_t i = 0; i < places.size(); ++i) {
    places[i].label = i < 30 ? 1 : 0;
    places[i].near_border = i >= 30 && i < 50;
    if (i >= 90) places[i].fate = TileFate::no_tissue;
  }
  return places;
}

struct Sampled {
  std::vector<int64_t> accepted, asked;
  int64_t count(int64_t begin, int64_t end) const {
    return std::count_if(accepted.begin(), accepted.end(),
                         [&](int64_t i) { return i >= begin && i < end; });
  }
};

template <class Good>
Sampled sample(const TileSampleConfig& config, Good good, const std::string& slide = "a") {
  const auto all = places();
  TileSampler sampler(all, config, slide, 7);
  Sampled sampled;
  for (auto batch = sampler.next(); !batch.empty(); batch = sampler.next()) {
    EXPECT_TRUE(std::is_sorted(batch.begin(), batch.end()));
    for (const int64_t place : batch) {
      sampled.asked.push_back(place);
      if (!good(place)) continue;
      sampler.accept(place);
      sampled.accepted.push_back(place);
    }
  }
  const std::set<int64_t> asked(sampled.asked.begin(), sampled.asked.end());
  EXPECT_EQ(asked.size(), sampled.asked.size()) << "a place is read once";
  EXPECT_EQ(asked.size() + sampler.left_over().size(), 90u);
  return sampled;
}

constexpr auto kAlways = [](int64_t) { return true; };

TEST(TileSampler, AllInTheirOrder) {
  const auto sampled = sample({}, kAlways);
  ASSERT_EQ(sampled.accepted.size(), 90u);
  EXPECT_TRUE(std::is_sorted(sampled.accepted.begin(), sampled.accepted.end()));
}

TEST(TileSampler, SoManyOfEachClassWithHardNegatives) {
  TileSampleConfig config;
  config.positive = 10;
  config.negative = 20;
  config.hard_negatives = 0.25;
  const auto sampled = sample(config, kAlways);
  EXPECT_EQ(sampled.count(0, 30), 10);
  EXPECT_EQ(sampled.count(30, 50), 5);
  EXPECT_EQ(sampled.count(50, 90), 15);
}

TEST(TileSampler, ReplacesWhatItsPixelsDisqualify) {
  TileSampleConfig config;
  config.positive = 10;
  config.negative = 20;
  const auto sampled = sample(config, [](int64_t place) { return place % 2 == 0; });
  EXPECT_EQ(sampled.count(0, 30), 10);
  EXPECT_EQ(sampled.count(30, 90), 20);
}

TEST(TileSampler, FillsUpFromOtherNegativesWhenHardOnesRunOutAndTheOtherWayRound) {
  TileSampleConfig config;
  config.positive = 5;
  config.negative = 50;
  config.hard_negatives = 0.8;  // 40 wanted, 20 there
  const auto few_hard = sample(config, kAlways);
  EXPECT_EQ(few_hard.count(30, 50), 20);
  EXPECT_EQ(few_hard.count(50, 90), 30);
  config.hard_negatives = 0.1;  // 45 others wanted, 40 there
  const auto few_others = sample(config, kAlways);
  EXPECT_EQ(few_others.count(30, 50), 10);
  EXPECT_EQ(few_others.count(50, 90), 40);
}

TEST(TileSampler, FillsUpWhereEveryNegativeIsAHardOne) {
  auto all = places();
  for (auto& place : all) place.near_border = place.label == 0;
  TileSampleConfig config;
  config.negative = 40;
  config.hard_negatives = 0.25;
  TileSampler sampler(all, config, "a", 7);
  int64_t taken = 0;
  for (auto batch = sampler.next(); !batch.empty(); batch = sampler.next())
    for (const int64_t place : batch) {
      sampler.accept(place);
      taken += all[static_cast<size_t>(place)].label == 0;
    }
  EXPECT_EQ(taken, 40);
}

TEST(TileSampler, TakesWhatThereIsAndDependsOnSeedAndSlideOnly) {
  TileSampleConfig config;
  config.positive = 1000;
  config.negative = 10;
  const auto first = sample(config, kAlways), again = sample(config, kAlways);
  EXPECT_EQ(first.count(0, 30), 30);
  EXPECT_EQ(first.accepted, again.accepted);
  EXPECT_NE(first.accepted, sample(config, kAlways, "b").accepted);
}

TEST(TileSampler, NothingToTake) {
  TileSampler sampler({}, {}, "a", 1);
  EXPECT_TRUE(sampler.next().empty());
  EXPECT_THAT(sampler.left_over(), ElementsAre());
}

}  // namespace
}  // namespace stylescope
