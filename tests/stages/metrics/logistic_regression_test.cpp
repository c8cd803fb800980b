#include "stages/metrics/logistic_regression.hpp"

#include "io/base/error.hpp"
#include "stages/metrics/ranking.hpp"
#include "tests/support/golden.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

torch::Tensor stat(const std::string& key) { return golden::load("stats").at(key); }

struct Samples {
  torch::Tensor x, x_test;
};

Samples samples(const std::string& name) {
  if (name == "w32") return {stat("lr/w32.x"), stat("lr/w32.x_test")};
  return {golden::values("lr.x.w512", 13, {400, 512}),
          golden::values("lr.xt.w512", 13, {300, 512})};
}

class LogisticRegressionGolden
    : public testing::TestWithParam<std::tuple<std::string, std::string>> {};
INSTANTIATE_TEST_SUITE_P(Sets, LogisticRegressionGolden,
                         testing::Combine(testing::Values("w32", "w512"),
                                          testing::Values("1.0", "0.01")));

TEST_P(LogisticRegressionGolden, Optimum) {
  const auto& [name, c] = GetParam();
  const auto [x, x_test] = samples(name);
  const auto prefix = "lr/" + name + "/C" + c + ".";
  const auto fit = fit_logistic_regression(x, stat("lr/" + name + ".y"), std::stod(c));
  golden::expect_equal("stats", prefix + "coef", fit.coefficients, 1e-9);
  EXPECT_NEAR(fit.intercept, stat(prefix + "intercept").item<double>(), 1e-9);
  EXPECT_NEAR(fit.objective, stat(prefix + "obj").item<double>(), 1e-9 * fit.objective);
  const auto scores = fit.decision(x_test);
  golden::expect_equal("stats", prefix + "score_test", scores, 1e-9);
  const auto y_test = stat("lr/" + name + ".y_test");
  EXPECT_NEAR(auc(y_test, scores), stat(prefix + "auc_test").item<double>(), 1e-12);
  EXPECT_NEAR(accuracy(y_test, scores, 0), stat(prefix + "acc_test").item<double>(), 1e-12);
}

// The checksum of an input has no probe product (golden README).
TEST(LogisticRegression, StoredInputIsRebuilt) {
  const auto x = samples("w512").x;
  const auto expected = stat("lr/w512.x.chk");
  EXPECT_NEAR(x.sum().item<double>(), expected[0].item<double>(), 1e-9);
  EXPECT_NEAR(x.norm().item<double>(), expected[1].item<double>(), 1e-9);
  EXPECT_EQ(x.abs().max().item<double>(), expected[3].item<double>());
}

// What the direction stage fits: 20000 samples in 512 dimensions.
TEST(LogisticRegression, ManySamplesReachTheOptimum) {
  const int64_t n = 20000, d = 512;
  const auto x = golden::values("lr.many.x", 1, {n, d});
  const auto truth = golden::values("lr.many.w", 1, {d}) * 0.1;
  const auto draw = golden::uniform("lr.many.u", 1, {n});
  const auto y = (draw < (x.mv(truth) + 0.5).sigmoid()).to(torch::kLong);
  const auto fit = fit_logistic_regression(x, y, 1.0);
  const auto residual = fit.decision(x).sigmoid() - y;
  const auto gradient = fit.coefficients + x.t().mv(residual);
  const auto first = x.t().mv(0.5 - y.to(torch::kDouble));
  EXPECT_LE(gradient.norm().item<double>(), 2e-10 * first.norm().item<double>());
  EXPECT_NEAR(residual.sum().item<double>(), 0, 1e-6);
  EXPECT_LE(fit.iterations, 12);
  const auto cosine = torch::cosine_similarity(fit.coefficients, truth, 0).item<double>();
  EXPECT_GT(cosine, 0.9);
}

// Separable classes in features of very different sizes, with next to no penalty: the intercept's
// curvature all but vanishes.
TEST(LogisticRegression, SeparableAndBadlyScaled) {
  auto x =
      golden::values("lr.separable", 1, {60, 3}) * torch::tensor({1e4, 1.0, 1e-3}, torch::kDouble);
  const auto y = (x.select(1, 0) > 0).to(torch::kLong);
  const auto fit = fit_logistic_regression(x, y, 1e6);
  EXPECT_EQ(accuracy(y, fit.decision(x), 0), 1);
}

TEST(LogisticRegression, Rejects) {
  const auto x = torch::zeros({4, 2}, torch::kDouble);
  EXPECT_THROW(fit_logistic_regression(x, torch::ones({4}, torch::kLong), 1), Error);
  EXPECT_THROW(fit_logistic_regression(x, torch::tensor({0, 1, 2, 1}), 1), Error);
  EXPECT_THROW(fit_logistic_regression(x, torch::tensor({0, 1, 0, 1}), 0), Error);
  EXPECT_THROW(fit_logistic_regression(x / 0, torch::tensor({0, 1, 0, 1}), 1), Error);
}

}  // namespace
}  // namespace stylescope
