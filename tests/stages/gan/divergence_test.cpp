#include "stages/gan/divergence.hpp"

#include "stages/gan/gan_trainer.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

GanStepFigures healthy() {
  GanStepFigures f;
  f.loss_g = f.loss_d = 1;
  f.logit_real = 1;
  f.logit_fake = -1;
  f.gradient_norm_g = 0.5;
  f.gradient_norm_d = 2;
  return f;
}

SentinelConfig config() {
  SentinelConfig c;
  c.patience = 3;
  c.logit_gap = 10;
  c.gradient_growth = 100;
  return c;
}

int64_t steps_to_alarm(DivergenceSentinel& sentinel, int64_t step, const GanStepFigures& f) {
  for (int64_t i = 0; i < 100; ++i)
    if (sentinel.check(step + i, f)) return i + 1;
  return -1;
}

TEST(Divergence, HealthyStepsRaiseNoAlarm) {
  DivergenceSentinel sentinel(config());
  EXPECT_EQ(steps_to_alarm(sentinel, 0, healthy()), -1);
  EXPECT_EQ(sentinel.state().observed, 100);
  EXPECT_NEAR(std::exp(sentinel.state().log_norm_d), 2, 1e-12);
}

TEST(Divergence, EachSignAloneIsEnoughWhenItLasts) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::pair<std::string, GanStepFigures>> signs;
  const auto sign = [&](const std::string& word) -> GanStepFigures& {
    return signs.emplace_back(word, healthy()).second;
  };
  sign("G's loss").loss_g = nan;
  sign("D's loss").loss_d = std::numeric_limits<double>::infinity();
  sign("not finite").non_finite = 1;
  sign("logit_gap").logit_real = 9.5;
  sign("gradient_growth").gradient_norm_g = 51;
  sign("gradient_growth").gradient_norm_d = 201;
  for (const auto& [word, figures] : signs) {
    DivergenceSentinel sentinel(config());
    EXPECT_EQ(steps_to_alarm(sentinel, 0, healthy()), -1);
    EXPECT_FALSE(sentinel.check(100, figures));
    EXPECT_FALSE(sentinel.check(101, figures));
    EXPECT_FALSE(sentinel.check(102, healthy()));  // not on end
    EXPECT_FALSE(sentinel.check(103, figures));
    EXPECT_FALSE(sentinel.check(104, figures));
    const auto reason = sentinel.check(105, figures);
    ASSERT_TRUE(reason) << word;
    EXPECT_NE(reason->find(word), std::string::npos) << *reason;
    EXPECT_NE(reason->find("since step 103"), std::string::npos) << *reason;
    EXPECT_EQ(sentinel.state().since, 103);
  }
}

TEST(Divergence, WhatIsNotWatchedRaisesNone) {
  auto c = config();
  c.logit_gap = c.gradient_growth = 0;
  auto figures = healthy();
  figures.logit_real = 1e6;
  figures.gradient_norm_g = 1e6;
  DivergenceSentinel sentinel(c);
  EXPECT_EQ(steps_to_alarm(sentinel, 0, healthy()), -1);
  EXPECT_EQ(steps_to_alarm(sentinel, 100, figures), -1);
  c.on = false;
  figures.loss_g = std::numeric_limits<double>::quiet_NaN();
  DivergenceSentinel off(c);
  EXPECT_EQ(steps_to_alarm(off, 0, figures), -1);
}

}  // namespace
}  // namespace stylescope
