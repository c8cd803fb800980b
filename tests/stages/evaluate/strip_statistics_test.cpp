// Does f follow lambda? What a phantom's changes are summed up to, and what goes along with f.
#include "stages/evaluate/strip_statistics.hpp"

#include "stages/evaluate/associations.hpp"
#include "stages/evaluate/phantom_change.hpp"
#include "stages/metrics/agreement.hpp"
#include "tests/support/temp_dir.hpp"

#include <set>

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
  EXPECT_EQ(figures["moves"], "cause");
}

TEST(PhantomChange, SaysWhatTheDirectionMoves) {
  PhantomChange change;
  change.subjects = {"a", "b", "c", "d"};
  EvaluateConfig config;
  config.bootstrap = 500;
  // To either side, by little, and by much: only the last is moved.
  const auto sways = torch::tensor({0.8, -0.8, 1.0, -1.0}, torch::kFloat64),
             drifts = torch::tensor({0.2, 0.3, 0.2, 0.3}, torch::kFloat64),
             moves = torch::tensor({-2.0, -1.0, -3.0, -3.0}, torch::kFloat64);
  const auto said = [&](const torch::Tensor& causing, const torch::Tensor& nuisance) {
    change.causing = causing, change.nuisance = nuisance;
    return summarise(change, config, 1)["moves"].get<std::string>();
  };
  EXPECT_EQ(said(moves, sways), "cause");
  EXPECT_EQ(said(drifts, moves), "nuisance");
  EXPECT_EQ(said(moves, -moves), "both");
  EXPECT_EQ(said(sways, drifts), "neither");
}

// f follows the attribute within each label, against what both do between the labels.
TEST(Associations, TheLabelItselfCountsForNothing) {
  const auto labels = torch::tensor({0, 0, 0, 1, 1, 1}, torch::kLong);
  const auto f = torch::tensor({0.1, 0.2, 0.3, 0.7, 0.8, 0.9}, torch::kFloat64);
  const auto attribute = torch::tensor({7.0, 8.0, 9.0, 1.0, 2.0, 3.0}, torch::kFloat64);
  EXPECT_LT(spearman(attribute, f), -0.5);
  EXPECT_NEAR(pearson(ranks_within(attribute, labels), ranks_within(f, labels)), 1, 1e-12);
  const auto between = torch::tensor({1.0, 1.0, 1.0, 5.0, 5.0, 5.0}, torch::kFloat64);
  EXPECT_GT(spearman(between, f), 0.8);
  EXPECT_EQ(ranks_within(between, labels).abs().max().item<double>(), 0);
}

// A text is asked for each for itself; of two, one says it for both.
TEST(Associations, TextsCountOneByOne) {
  testing_support::TempDir dir;
  ImageSetWriter writer(dir / "images.h5", 1, 8, 8, {"zero", "one"}, "{}");
  TestSplit split;
  std::vector<int64_t> labels;
  std::vector<double> f;
  for (int64_t i = 0; i < 12; ++i) {
    ImageRecord record{i % 2, Split::test, "p" + std::to_string(i), std::to_string(i), {}};
    record.attributes = {{"centre", static_cast<double>(i / 2 % 3)},
                         {"sex", static_cast<double>(i / 6)},
                         {"same", 1.0}};
    writer.append(torch::full({1, 8, 8}, i, torch::kUInt8), record);
    split.rows.push_back(i), split.subjects.push_back(record.subject);
    labels.push_back(i % 2), f.push_back(0.5 * (i % 2) + 0.3 * (i / 2 % 3 == 1) + 0.01 * i);
  }
  writer.name_values("centre", {"north", "south", "west"});
  writer.name_values("sex", {"f", "m"});
  writer.close();
  split.labels = torch::tensor(labels, torch::kLong);
  split.f = torch::tensor(f, torch::kFloat64);
  EvaluateConfig config;
  config.bootstrap = 100;
  const auto found = associations(ImageSet(dir / "images.h5"), split, config, 1);
  std::set<std::string> names;
  for (const auto& one : found) names.insert(one["attribute"].get<std::string>());
  EXPECT_EQ(names, (std::set<std::string>{"centre = north", "centre = south", "centre = west",
                                          "sex = m"}));
  EXPECT_EQ(found[0]["attribute"], "centre = south");
  EXPECT_GT(found[0]["within_label"]["low"].get<double>(), 0.5);
}

}  // namespace
}  // namespace stylescope
