#include "stages/metrics/ranking.hpp"

#include "io/base/error.hpp"
#include "tests/support/golden.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

torch::Tensor stat(const std::string& key) { return golden::load("stats").at(key); }
double number(const std::string& key) { return stat(key).item<double>(); }

torch::Tensor labels(std::vector<int64_t> values) { return torch::tensor(values, torch::kLong); }
torch::Tensor scores(std::vector<double> values) { return torch::tensor(values, torch::kDouble); }

std::vector<std::string> own_subject_each(int64_t n) {
  std::vector<std::string> subjects;
  for (int64_t i = 0; i < n; ++i) subjects.push_back(std::to_string(i));
  return subjects;
}

class RankingGolden : public testing::TestWithParam<std::string> {
 protected:
  std::string key(const std::string& name) const { return "auc/" + GetParam() + "." + name; }
  torch::Tensor y() const { return stat(key("y")); }
  torch::Tensor s1() const { return stat(key("s1")); }
  torch::Tensor s2() const { return stat(key("s2")); }
};
INSTANTIATE_TEST_SUITE_P(Sets, RankingGolden, testing::Values("cont", "ties"),
                         [](const auto& info) { return info.param; });

TEST_P(RankingGolden, AucAndDeLong) {
  EXPECT_NEAR(auc(y(), s1()), number(key("auc1")), 1e-14);
  const auto d = delong(y(), s1());
  EXPECT_NEAR(d.auc, number(key("auc1")), 1e-14);
  EXPECT_NEAR(d.variance, number(key("var1")), 1e-12 * d.variance);
  golden::expect_equal("stats", key("ci95_normal"), scores({d.normal.low, d.normal.high}), 1e-12);
  golden::expect_equal("stats", key("ci95_logit"), scores({d.logit.low, d.logit.high}), 1e-12);
}

TEST_P(RankingGolden, Comparison) {
  const auto c = delong_compare(y(), s1(), s2());
  EXPECT_NEAR(c.auc1, number(key("auc1")), 1e-14);
  EXPECT_NEAR(c.auc2, number(key("auc2")), 1e-14);
  EXPECT_NEAR(c.variance2, number(key("var2")), 1e-12 * c.variance2);
  EXPECT_NEAR(c.covariance, number(key("cov12")), 1e-12 * c.variance1);
  EXPECT_NEAR(c.z, number(key("z")), 1e-11 * std::abs(c.z));
  EXPECT_NEAR(c.p_two_sided, number(key("p")), 1e-11);
}

TEST_P(RankingGolden, RocPoints) {
  const auto points = roc_curve(y(), s1());
  std::vector<double> fpr, tpr;
  for (const auto& point : points) {
    fpr.push_back(point.false_positive_rate);
    tpr.push_back(point.true_positive_rate);
  }
  golden::expect_equal("stats", key("roc_fpr"), scores(fpr), 1e-14);
  golden::expect_equal("stats", key("roc_tpr"), scores(tpr), 1e-14);
  double area = 0;
  for (size_t i = 1; i < fpr.size(); ++i)
    area += (fpr[i] - fpr[i - 1]) * 0.5 * (tpr[i] + tpr[i - 1]);
  EXPECT_NEAR(area, auc(y(), s1()), 1e-13);
}

// Another generator than the golden one's: both are Monte-Carlo estimates of 4000 draws, whose
// percentiles scatter by about a twentieth of the interval's width.
TEST_P(RankingGolden, BootstrapIsCloseAndRepeats) {
  const auto subjects = own_subject_each(y().numel());
  const auto interval = bootstrap_auc(y(), s1(), subjects, 4000, 7);
  const auto expected = stat(key("boot_ci95_seed0_4000"));
  const double width = (expected[1] - expected[0]).item<double>();
  EXPECT_NEAR(interval.low, expected[0].item<double>(), 0.05 * width);
  EXPECT_NEAR(interval.high, expected[1].item<double>(), 0.05 * width);
  EXPECT_EQ(interval.value, auc(y(), s1()));
  const auto again = bootstrap_auc(y(), s1(), subjects, 4000, 7);
  EXPECT_EQ(interval.low, again.low);
  EXPECT_EQ(interval.high, again.high);
  EXPECT_NE(interval.low, bootstrap_auc(y(), s1(), subjects, 4000, 8).low);
}

TEST(Bootstrap, DrawsWholeSubjects) {
  const auto y = stat("auc/cont.y");
  const auto s = stat("auc/cont.s1");
  const auto once = bootstrap_auc(y, s, own_subject_each(y.numel()), 500, 3);
  // The same images three times over, under the same subjects: nothing new is known, and the
  // interval must say so.
  auto tripled = own_subject_each(y.numel());
  for (int copy = 0; copy < 2; ++copy) {
    const auto more = own_subject_each(y.numel());
    tripled.insert(tripled.end(), more.begin(), more.end());
  }
  const auto clustered = bootstrap_auc(y.repeat({3}), s.repeat({3}), tripled, 500, 3);
  EXPECT_NEAR(clustered.low, once.low, 1e-12);
  EXPECT_NEAR(clustered.high, once.high, 1e-12);
  const auto pretended =
      bootstrap_auc(y.repeat({3}), s.repeat({3}), own_subject_each(3 * y.numel()), 500, 3);
  EXPECT_LT(pretended.high - pretended.low, 0.75 * (once.high - once.low));
}

TEST(Bootstrap, RedrawsResamplesOfOneClass) {
  // Two subjects, one of each class: half of all draws hold one class only.
  const auto interval = bootstrap_auc(labels({0, 1}), scores({0.1, 0.9}), {"a", "b"}, 200, 1);
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 1);
}

TEST(Ranking, SmallCasesByHand) {
  EXPECT_DOUBLE_EQ(auc(labels({0, 1, 0, 1}), scores({1, 2, 2, 3})), 3.5 / 4);
  EXPECT_DOUBLE_EQ(auc(labels({1, 0}), scores({0, 1})), 0);
  EXPECT_DOUBLE_EQ(accuracy(labels({0, 1, 0, 1}), scores({0.5, 0.5, 0.2, 0.9}), 0.5), 0.75);
  const auto roc = roc_curve(labels({0, 1, 0, 1}), scores({1, 2, 2, 3}));
  ASSERT_EQ(roc.size(), 4U);
  EXPECT_TRUE(std::isinf(roc[0].threshold));
  EXPECT_EQ(roc[2].threshold, 2);
  EXPECT_EQ(roc[2].false_positive_rate, 0.5);
  EXPECT_EQ(roc[2].true_positive_rate, 1);
}

TEST(Ranking, LimitsOfDeLong) {
  const auto y = labels({0, 0, 1, 1});
  const auto perfect = delong(y, scores({1, 2, 3, 4}));
  EXPECT_EQ(perfect.variance, 0);
  EXPECT_EQ(perfect.logit.low, 1);
  EXPECT_EQ(perfect.normal.high, 1);
  EXPECT_EQ(delong_compare(y, scores({1, 2, 3, 4}), scores({10, 20, 30, 40})).p_two_sided, 1);
  EXPECT_EQ(delong_compare(y, scores({1, 2, 3, 4}), scores({4, 3, 2, 1})).p_two_sided, 0);
  EXPECT_THROW(delong(labels({0, 0, 1}), scores({1, 2, 3})), Error);
}

TEST(Ranking, RejectsWhatHasNoOrder) {
  EXPECT_THROW(auc(labels({1, 1}), scores({1, 2})), Error);
  EXPECT_THROW(auc(labels({0, 1}), scores({1, std::nan("")})), Error);
  EXPECT_THROW(auc(labels({0, 2}), scores({1, 2})), Error);
  EXPECT_THROW(auc(labels({0, 1}), scores({1, 2, 3})), Error);
  EXPECT_THROW(accuracy(labels({}), scores({}), 0.5), Error);
}

}  // namespace
}  // namespace stylescope
