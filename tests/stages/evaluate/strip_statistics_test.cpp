// Does f follow lambda? And what a phantom's changes are summed up to.
#include "stages/evaluate/strip_statistics.hpp"

#include "stages/evaluate/phantom_change.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

ExplanationSet strips(std::vector<std::vector<double>> rows) {
  ExplanationSet set;
  std::vector<torch::Tensor> f;
  for (const auto& row : rows) f.push_back(torch::tensor(row, torch::kFloat64));
  set.f_strip = torch::stack(f);
  set.original = torch::zeros({set.f_strip.size(0), 1, 16, 16}, torch::kUInt8);
  return set;
}

TEST(StripStatistics, CountsRisesAndCrossings) {
  const auto figures = strip_statistics(strips({
      {0.1, 0.2, 0.4, 0.6, 0.9},     // rises, starts low, crosses up
      {0.1, 0.2, 0.3, 0.35, 0.4},    // rises, starts low, does not cross
      {0.4, 0.6, 0.7, 0.5, 0.9},     // falls on its way, starts high, crosses down
      {0.9, 0.8, 0.7, 0.6, 0.55},    // falls throughout, starts high, does not reach below
      {0.8, 0.795, 0.8, 0.9, 0.95},  // the fall is within rounding
  }));
  EXPECT_EQ(figures.at("images"), 5);
  EXPECT_NEAR(figures.at("mean_lowest").get<double>(), 2.3 / 5, 1e-12);
  EXPECT_NEAR(figures.at("mean_highest").get<double>(), 3.7 / 5, 1e-12);
  EXPECT_DOUBLE_EQ(figures.at("rising"), 0.6);
  EXPECT_DOUBLE_EQ(figures.at("ends_higher"), 0.8);
  EXPECT_DOUBLE_EQ(figures.at("crossing_up"), 0.5);
  EXPECT_NEAR(figures.at("crossing_down").get<double>(), 1.0 / 3, 1e-12);
}

TEST(StripStatistics, ACrossingThatNobodyCouldMakeIsNull) {
  const auto figures = strip_statistics(strips({{0.1, 0.2, 0.9}}));
  EXPECT_TRUE(figures.at("crossing_down").is_null());
  EXPECT_DOUBLE_EQ(figures.at("crossing_up"), 1);
}

TEST(PhantomChange, RatioIsOfMeanAbsoluteChanges) {
  PhantomChange change;
  change.causing = torch::tensor({-2.0, -4.0, -3.0, -3.0}, torch::kFloat64);
  change.nuisance = torch::tensor({0.5, -0.5, 1.0, -1.0}, torch::kFloat64);
  change.subjects = {"a", "a", "b", "c"};
  EvaluateConfig config;
  config.bootstrap = 500;
  const auto figures = summarise(change, config, 1);
  EXPECT_DOUBLE_EQ(figures["causing"]["value"], 3);
  EXPECT_DOUBLE_EQ(figures["causing_signed"]["value"], -3);
  EXPECT_DOUBLE_EQ(figures["nuisance"]["value"], 0.75);
  EXPECT_DOUBLE_EQ(figures["nuisance_signed"]["value"], 0)
      << "changes to either side must not hide each other in the ratio";
  EXPECT_DOUBLE_EQ(figures["ratio"]["value"], 4);
  // The extremes: subjects b and c only (3 / 1), subject a only (3 / 0.5).
  EXPECT_DOUBLE_EQ(figures["ratio"]["low"], 3);
  EXPECT_DOUBLE_EQ(figures["ratio"]["high"], 6);
}

}  // namespace
}  // namespace stylescope
