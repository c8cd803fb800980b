#include "stages/training/schedule.hpp"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

TEST(Schedule, OneCycleIsPyTorchs) {
  // torch.optim.lr_scheduler.OneCycleLR(max_lr=0.5, total_steps=20), PyTorch 2.14.
  const Schedule schedule{"one_cycle", 0.5, 0, 20};
  const double expected[] = {0.020000000000000018,
                             0.06583592135001265,
                             0.18583592135001265,
                             0.3341640786499874,
                             0.45416407864998737,
                             0.5,
                             0.49373200311754367,
                             0.47524231600673683,
                             0.445458088785525,
                             0.40587282697488153,
                             0.3584715008956504,
                             0.30563101096814466,
                             0.250001,
                             0.19437098903185537,
                             0.14153049910434962,
                             0.09412917302511849,
                             0.05454391121447502,
                             0.024759683993263143,
                             0.006269996882456277,
                             2e-06};
  for (int64_t step = 0; step < 20; ++step)
    EXPECT_NEAR(schedule.learning_rate(step), expected[step], 1e-15) << step;
}

TEST(Schedule, CosineRisesAndFalls) {
  const Schedule schedule{"cosine", 0.8, 0.2, 20};
  for (int64_t step = 0; step < 4; ++step)
    EXPECT_DOUBLE_EQ(schedule.learning_rate(step), 0.8 * static_cast<double>(step + 1) / 5);
  for (int64_t step = 4; step < 20; ++step)
    EXPECT_NEAR(schedule.learning_rate(step),
                0.4 * (1 + std::cos(std::numbers::pi * static_cast<double>(step - 4) / 16)), 1e-15);
}

TEST(Schedule, ConstantStaysAfterItsWarmUp) {
  const Schedule schedule{"constant", 0.3, 0.25, 8};
  EXPECT_DOUBLE_EQ(schedule.learning_rate(0), 0.1);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(1), 0.2);
  for (int64_t step = 2; step < 8; ++step) EXPECT_DOUBLE_EQ(schedule.learning_rate(step), 0.3);
}

TEST(Schedule, OneStepIsEnough) {
  for (const char* kind : {"constant", "cosine", "one_cycle"}) {
    const double rate = Schedule{kind, 0.3, 0, 1}.learning_rate(0);
    EXPECT_TRUE(std::isfinite(rate) && rate > 0) << kind << ": " << rate;
  }
}

}  // namespace
}  // namespace stylescope
