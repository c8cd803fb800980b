// Correlation, kappa, calibration and the bootstrap over subjects, against figures worked out by
// hand.
#include "stages/metrics/agreement.hpp"

#include "io/base/error.hpp"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

torch::Tensor reals(std::vector<double> v) { return torch::tensor(v, torch::kFloat64); }
torch::Tensor answers(std::vector<int64_t> v) { return torch::tensor(v, torch::kLong); }

TEST(Agreement, Pearson) {
  // Deviations (-1.5, -.5, .5, 1.5) and (-2, 0, -1, 3): 7 / sqrt(5 * 14).
  EXPECT_NEAR(pearson(reals({1, 2, 3, 4}), reals({1, 3, 2, 6})), 7 / std::sqrt(70.0), 1e-14);
  EXPECT_NEAR(pearson(reals({1, 2, 3}), reals({3, 2, 1})), -1, 1e-14);
  EXPECT_TRUE(std::isnan(pearson(reals({1, 2, 3}), reals({2, 2, 2}))));
  EXPECT_THROW(pearson(reals({1, 2}), reals({1})), Error);
}

TEST(Agreement, SpearmanSharesTheRanksOfTies) {
  EXPECT_NEAR(spearman(reals({1, 10, 100}), reals({2, 3, 4})), 1, 1e-14);
  // Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
  EXPECT_NEAR(spearman(reals({1, 5, 5, 9}), reals({1, 2, 3, 4})), 4.5 / std::sqrt(22.5), 1e-14);
}

TEST(Agreement, KappaTakesChanceAway) {
  // 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, by chance 0.5, so 0.4 (Cohen's
  // textbook example).
  std::vector<int64_t> a, b;
  const auto add = [&](int count, int64_t x, int64_t y) {
    a.insert(a.end(), count, x);
    b.insert(b.end(), count, y);
  };
  add(20, 1, 1), add(5, 1, 0), add(10, 0, 1), add(15, 0, 0);
  EXPECT_NEAR(cohen_kappa(answers(a), answers(b)), 0.4, 1e-14);
  EXPECT_TRUE(std::isnan(cohen_kappa(answers({1, 1}), answers({1, 1}))));
  EXPECT_EQ(cohen_kappa(answers({1, 0}), answers({1, 0})), 1);
}

TEST(Agreement, LogitOfExtremesIsFinite) {
  const auto logits = logit_of(reals({0, 0.25, 1}));
  EXPECT_TRUE(logits.isfinite().all().item<bool>());
  EXPECT_NEAR(logits[1].item<double>(), std::log(1.0 / 3), 1e-12);
}

TEST(Agreement, Calibration) {
  EXPECT_NEAR(brier_score(answers({1, 0}), reals({0.8, 0.4})), (0.04 + 0.16) / 2, 1e-14);
  // Bin 7 holds .75 and .79, one of them positive: |1 - 1.54| / 4; bin 1 holds .1 and .1, none: .2
  // / 4.
  EXPECT_NEAR(expected_calibration_error(answers({1, 0, 0, 0}), reals({0.75, 0.79, 0.1, 0.1})),
              (0.54 + 0.2) / 4, 1e-12);
  EXPECT_NEAR(expected_calibration_error(answers({1, 1}), reals({1, 1})), 0, 1e-14);
}

TEST(Agreement, BootstrapDrawsWholeSubjects) {
  // Two subjects, each constant: a draw's mean is 0, 1/2 (twice as often) or 1, never anything
  // between.
  const std::vector<std::string> subjects = {"a", "a", "a", "b", "b", "b"};
  const auto values = reals({0, 0, 0, 1, 1, 1});
  std::set<double> seen;
  const auto interval = bootstrap_subjects(subjects, 400, 3, [&](const std::vector<int64_t>& rows) {
    const double mean =
        values.index_select(0, torch::tensor(rows, torch::kLong)).mean().item<double>();
    seen.insert(mean);
    return mean;
  });
  EXPECT_EQ(seen, (std::set<double>{0, 0.5, 1}));
  EXPECT_EQ(interval.value, 0.5);
  EXPECT_EQ(interval.low, 0);
  EXPECT_EQ(interval.high, 1);
}

TEST(Agreement, BootstrapOfAMeanHasItsStandardError) {
  std::vector<std::string> subjects;
  std::vector<double> v;
  for (int i = 0; i < 200; ++i) subjects.push_back(std::to_string(i)), v.push_back(i % 2);
  const auto values = reals(v);
  const auto interval =
      bootstrap_subjects(subjects, 2000, 1, [&](const std::vector<int64_t>& rows) {
        return values.index_select(0, torch::tensor(rows, torch::kLong)).mean().item<double>();
      });
  // 1.96 standard errors of sqrt(.25 / 200) to either side.
  EXPECT_NEAR(interval.low, 0.5 - 0.0693, 0.012);
  EXPECT_NEAR(interval.high, 0.5 + 0.0693, 0.012);
}

}  // namespace
}  // namespace stylescope
