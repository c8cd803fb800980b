// What a submission will take: the arithmetic, from made-up rates.
#include "pipeline/estimate.hpp"

#include <gmock/gmock.h>

namespace stylescope {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

StageWork gan_work() {
  StageWork work;
  work.stage = "gan";
  work.amount = {25e6, false, "25,000 kimg"};
  work.unit = "images";
  work.passes = {{Pass::gan_step, work.amount}};
  work.batch = 32;
  work.pieces = 8;
  work.goes_on = true;
  return work;
}

JobShape eight_ranks() {
  JobShape job;
  job.ranks = 8;
  job.nodes = 2;
  job.gpus = 8;
  return job;
}

MeasuredRates gan_rate(double per_second, int64_t ranks = 1, double efficiency = 1) {
  MeasuredRates rates;
  StageRate rate;
  rate.per_second = per_second;
  rate.ranks = ranks;
  rate.efficiency = efficiency;
  rate.pieces = 8;
  rate.device = "cuda";
  rate.where = "runs/a/gan/stage.json";
  rates.stages["gan"] = rate;
  return rates;
}

PassRate pass_rate(double seconds) {
  PassRate rate;
  rate.seconds = seconds;
  rate.how = "here";
  rate.device = "cuda";
  return rate;
}

TEST(Estimate, DividesTheWorkByTheRateOfAllRanks) {
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), gan_rate(41.2));
  ASSERT_TRUE(estimate.seconds);
  EXPECT_DOUBLE_EQ(*estimate.seconds, 25e6 / (41.2 * 8));
  EXPECT_DOUBLE_EQ(*estimate.gpu_hours(), 25e6 / (41.2 * 8) / 3600 * 8);
  EXPECT_THAT(estimate.lines,
              Contains("time: 25,000,000 images / (41.2 images/s a rank x 8 ranks x 1) = 21.1 h"));
  EXPECT_THAT(estimate.lines, Contains("GPU hours: 21.1 h x 8 GPUs = 169"));
  EXPECT_THAT(estimate.lines,
              Contains(HasSubstr("ideal scaling assumed: no measured all_reduce given")));
  EXPECT_THAT(estimate.warnings, IsEmpty());
  EXPECT_FALSE(estimate.other_device);
}

TEST(Estimate, WithAsManyRanksAsMeasuredTheRateIsTheMeasuredOne) {
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), gan_rate(300, 8, 0.9));
  EXPECT_DOUBLE_EQ(*estimate.seconds, 25e6 / 300);
  EXPECT_DOUBLE_EQ(estimate.efficiency, 0.9);
}

TEST(Estimate, FromOtherRanksItGoesByWayOfOneRank) {
  // 4 ranks were at work for 0.8 of their time: 50 images/s each.
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), gan_rate(160, 4, 0.8));
  EXPECT_DOUBLE_EQ(*estimate.seconds, 25e6 / (50 * 8));
}

TEST(Estimate, RanksThatAreDealtLessIdle) {
  auto job = eight_ranks();
  job.ranks = 6;  // 8 groups: two ranks have two, the time is that of theirs
  job.nodes = 1;
  const auto estimate = estimate_stage(gan_work(), job, gan_rate(50));
  EXPECT_DOUBLE_EQ(estimate.efficiency, 8.0 / 12);
  EXPECT_DOUBLE_EQ(*estimate.seconds, 25e6 / (50 * 4));
}

TEST(Estimate, TheModelOfTheNetworkSaysWhatExchangeCosts) {
  auto rates = gan_rate(50);
  rates.network = NetworkModel{1e-5, 1e-9};
  rates.network_how = "measured";
  const std::vector<StepProfile::Message> messages{{4e6, 10}, {1e3, 0.25}};
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), rates, messages);
  const auto expected = predict({32.0 / 50, 8, 0, messages}, *rates.network, 2, 4);
  EXPECT_NEAR(estimate.efficiency, expected.strong_efficiency, 1e-12);
  EXPECT_NEAR(*estimate.seconds, 25e6 / 32 * expected.strong_step, 1e-6);
  EXPECT_LT(estimate.efficiency, 0.9);
  EXPECT_THAT(estimate.lines, Not(Contains(HasSubstr("ideal"))));
}

// 3 ranks on 2 nodes are no 4 ranks.
TEST(Estimate, NodesThatAreNotFullMakeNobodyFaster) {
  auto rates = gan_rate(50);
  rates.network = NetworkModel{1e-9, 1e-15};
  for (int64_t nodes = 1; nodes <= 4; ++nodes)
    for (int64_t ranks = nodes; ranks <= 9; ++ranks) {
      auto job = eight_ranks();
      job.nodes = nodes, job.ranks = ranks;
      const auto estimate = estimate_stage(gan_work(), job, rates, {{4e6, 10}});
      EXPECT_LE(estimate.efficiency, dealing_efficiency(8, ranks)) << ranks << " on " << nodes;
      EXPECT_NEAR(estimate.efficiency, dealing_efficiency(8, ranks), 1e-3);
    }
}

TEST(Estimate, OtherNetworksCountByTheirArithmetic) {
  auto rates = gan_rate(400);
  rates.stages["gan"].factor = 0.25;
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), rates);
  EXPECT_DOUBLE_EQ(*estimate.seconds, 25e6 / (100 * 8));
}

TEST(Estimate, WhatIsDoneIsNotDoneAgain) {
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), gan_rate(50), {}, 5e6);
  EXPECT_DOUBLE_EQ(*estimate.seconds, 20e6 / (50 * 8));
}

TEST(Estimate, UnknownWorkHasNoHours) {
  auto work = gan_work();
  work.amount = {std::nullopt, false, "unknown until images.h5 is there"};
  const auto estimate = estimate_stage(work, eight_ranks(), gan_rate(50));
  EXPECT_FALSE(estimate.seconds);
  EXPECT_FALSE(estimate.gpu_hours());
  EXPECT_THAT(estimate.lines, ElementsAre("work: unknown until images.h5 is there"));
  const auto text = estimate_text({estimate}, {}, {});
  EXPECT_THAT(text, Not(HasSubstr("longest path")));
}

TEST(Estimate, WorkThatIsUnknownInPartHasNoHours) {
  auto work = gan_work();
  work.passes.push_back({Pass::classifier, {std::nullopt, false, "unknown until images.h5"}});
  const auto estimate = estimate_stage(work, eight_ranks(), gan_rate(50));
  EXPECT_FALSE(estimate.seconds);
  EXPECT_THAT(estimate.lines, Contains("time: unknown until images.h5"));
}

TEST(Estimate, WithoutARateThereAreNoHours) {
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), {});
  EXPECT_FALSE(estimate.seconds);
  EXPECT_THAT(estimate.lines, Contains(HasSubstr("time: not measured for this stage")));
}

TEST(Estimate, PassByPassFromWhatOneRankTakes) {
  auto work = gan_work();
  work.beside = {{Pass::classifier, {1e6, false, ""}}};
  MeasuredRates rates;
  rates.passes[Pass::gan_step] = pass_rate(0.02);
  rates.passes[Pass::classifier] = pass_rate(0.001);
  work.beside.push_back({Pass::encoder, {std::nullopt, false, "unknown"}});  // left out
  const auto estimate = estimate_stage(work, eight_ranks(), rates);
  EXPECT_DOUBLE_EQ(*estimate.seconds, (25e6 * 0.02 + 1e6 * 0.001) / 8);
  EXPECT_THAT(estimate.lines,
              Contains("time: (25,000,000 images x 20 ms + 1,000,000 images x 1 ms) / (8 ranks x "
                       "1) = at least 17.4 h"));
  EXPECT_THAT(estimate.lines,
              Contains("at least: without forward pass of E beside the steps, not measured"));
  EXPECT_TRUE(estimate.at_least);
}

TEST(Estimate, PassesHideExchangeAsMeasured) {
  auto work = gan_work();
  MeasuredRates rates;
  rates.network = NetworkModel{1e-5, 1e-9};
  rates.passes[Pass::gan_step] = pass_rate(0.02);
  rates.passes[Pass::gan_step].hidden_share = 0.5;
  const std::vector<StepProfile::Message> messages{{4e6, 10}};
  const auto estimate = estimate_stage(work, eight_ranks(), rates, messages);
  const auto expected = predict({32 * 0.02, 8, 0.5, messages}, *rates.network, 2, 4);
  EXPECT_NEAR(estimate.efficiency, expected.strong_efficiency, 1e-12);
  EXPECT_THAT(estimate.lines, Contains(HasSubstr("50 % hidden")));
}

// NCCL does not say how long it waits: the all_reduces count once.
TEST(Estimate, WaitingThatIsInTheRateIsNotAddedAgain) {
  auto rates = gan_rate(160, 4);
  rates.stages["gan"].waiting_inside = true;
  rates.network = NetworkModel{1e-3, 1e-8};
  const std::vector<StepProfile::Message> messages{{4e6, 10}};
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), rates, messages);
  EXPECT_DOUBLE_EQ(*estimate.seconds, 25e6 / (40 * 8));
  EXPECT_TRUE(estimate.ideal);
  EXPECT_THAT(estimate.lines,
              Contains(HasSubstr("waiting for gradients is in this rate, not told apart")));
  MeasuredRates passes;
  passes.network = rates.network;
  passes.passes[Pass::gan_step] = pass_rate(0.02);
  passes.passes[Pass::gan_step].waiting_inside = true;
  EXPECT_DOUBLE_EQ(*estimate_stage(gan_work(), eight_ranks(), passes, messages).seconds,
                   25e6 * 0.02 / 8);
}

TEST(Estimate, WhatIsNamedFirstCounts) {
  auto rates = gan_rate(50);
  rates.passes[Pass::gan_step] = pass_rate(0.01);
  rates.stages["gan"].source = 1;
  const auto by_pass = estimate_stage(gan_work(), eight_ranks(), rates);
  EXPECT_DOUBLE_EQ(*by_pass.seconds, 25e6 * 0.01 / 8);
  EXPECT_THAT(by_pass.lines, Contains(HasSubstr("runs/a/gan/stage.json has a rate too")));
  rates.passes[Pass::gan_step].source = 2;
  EXPECT_DOUBLE_EQ(*estimate_stage(gan_work(), eight_ranks(), rates).seconds, 25e6 / (50 * 8));
}

TEST(Estimate, WhatIsOutsideOfTheStepsIsALineOfItsOwn) {
  auto rates = gan_rate(50);
  rates.stages["gan"].outside_seconds = 100;
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), rates);
  EXPECT_DOUBLE_EQ(*estimate.seconds, 25e6 / (50 * 8) + 100);
  EXPECT_THAT(estimate.lines, Contains(HasSubstr("outside of the steps: 1.67 min")));
}

TEST(Estimate, WhatTheRootDoesAloneDoesNotScale) {
  auto work = gan_work();
  work.stage = "direction";
  work.passes = {{Pass::classifier, work.amount}};
  work.batch = 0;
  work.of_root = "the fit";
  auto rates = gan_rate(50);
  rates.stages["direction"] = rates.stages["gan"];
  const auto more = estimate_stage(work, eight_ranks(), rates);
  EXPECT_TRUE(more.ideal);
  EXPECT_THAT(more.lines, Contains(HasSubstr("the rate has the fit in it, which the root does")));
  rates.stages["direction"].ranks = 8;
  const auto same = estimate_stage(work, eight_ranks(), rates);
  EXPECT_FALSE(same.ideal || same.at_least);
  rates.stages["direction"].under_way = true;
  EXPECT_TRUE(estimate_stage(work, eight_ranks(), rates).at_least);
  MeasuredRates passes;
  passes.passes[Pass::classifier] = pass_rate(0.001);
  work.in_no_pass = "GradCAM";
  const auto by_pass = estimate_stage(work, eight_ranks(), passes);
  EXPECT_TRUE(by_pass.at_least);
  EXPECT_THAT(by_pass.lines,
              Contains("at least: without the fit (the root's alone), not measured"));
  EXPECT_THAT(by_pass.lines, Contains("at least: without GradCAM, not measured"));
  EXPECT_THAT(estimate_text({by_pass}, {}, {}), HasSubstr(" >= 52.1 min"));
}

TEST(Estimate, WarnsOfATimeLimitThatIsTooShort) {
  auto job = eight_ranks();
  job.limit = 36000;
  job.signal = 120;
  const auto rates = gan_rate(41.2);  // 75,850 s
  const auto goes_on = estimate_stage(gan_work(), job, rates);
  ASSERT_EQ(goes_on.warnings.size(), 1u);
  EXPECT_THAT(goes_on.warnings[0], HasSubstr("gan: 21.1 h do not fit in the time limit of 10 h"));
  EXPECT_THAT(goes_on.warnings[0], HasSubstr("3 sessions, so 2 restarts"));
  EXPECT_THAT(goes_on.warnings[0], Not(HasSubstr("slurm.restarts")));
  job.restarts = 2;  // as many as it takes
  EXPECT_THAT(estimate_stage(gan_work(), job, rates).warnings[0], Not(HasSubstr("slurm.restarts")));
  job.restarts = 1;
  EXPECT_THAT(estimate_stage(gan_work(), job, rates).warnings[0],
              HasSubstr("but only 1 restart may follow (slurm.restarts)"));
  job.restarts = 0;
  EXPECT_THAT(estimate_stage(gan_work(), job, rates).warnings[0],
              HasSubstr("but no restart is allowed (slurm.restarts)"));
  auto work = gan_work();
  work.goes_on = false;
  EXPECT_THAT(estimate_stage(work, job, rates).warnings[0], HasSubstr("keeps no checkpoint"));
  job.limit = 0;
  EXPECT_THAT(estimate_stage(gan_work(), job, rates).warnings, IsEmpty());
  job.limit = 80000;
  EXPECT_THAT(estimate_stage(gan_work(), job, rates).warnings, IsEmpty());
}

TEST(Estimate, SaysThatItWasMeasuredOnOtherDevices) {
  auto rates = gan_rate(50);
  rates.stages["gan"].device = "cpu";
  const auto estimate = estimate_stage(gan_work(), eight_ranks(), rates);
  EXPECT_TRUE(estimate.other_device);
  EXPECT_THAT(estimate_text({estimate}, {}, {}), HasSubstr("warning: gan: measured on other"));
  // Each pass was measured on a device of its own.
  auto work = gan_work();
  work.passes.push_back({Pass::classifier, {1e6, false, ""}});
  MeasuredRates passes;
  passes.passes[Pass::gan_step] = pass_rate(0.02);
  passes.passes[Pass::classifier] = pass_rate(0.001);
  EXPECT_FALSE(estimate_stage(work, eight_ranks(), passes).other_device);
  passes.passes[Pass::gan_step].device = "cpu";
  EXPECT_TRUE(estimate_stage(work, eight_ranks(), passes).other_device);
}

TEST(EstimateText, MarksRoughFiguresAndSaysOnceWhy) {
  auto far = gan_rate(400);
  far.stages["gan"].factor = 0.2;
  far.network = NetworkModel{1e-9, 1e-15};
  const auto rough = estimate_stage(gan_work(), eight_ranks(), far, {{4e6, 10}});
  EXPECT_FALSE(rough.ideal);
  auto other = rough;
  other.stage = "encoder";
  const auto text = estimate_text({rough, other}, {}, {});
  EXPECT_THAT(text, HasSubstr(" ~10.9 h"));
  EXPECT_THAT(text, HasSubstr("warning: gan, encoder: rough figures"));
  EXPECT_THAT(text, Not(HasSubstr("ideal")));
  const auto ideal = estimate_stage(gan_work(), eight_ranks(), gan_rate(41.2));
  EXPECT_THAT(estimate_text({ideal}, {}, {}), HasSubstr(" ~21.1 h"));
  EXPECT_THAT(estimate_text({ideal}, {}, {}), HasSubstr("warning: gan: ideal scaling"));
  MeasuredRates passes;
  passes.passes[Pass::gan_step] = pass_rate(0.02);
  passes.passes[Pass::gan_step].rough = true;
  EXPECT_THAT(estimate_text({estimate_stage(gan_work(), JobShape(), passes)}, {}, {}),
              HasSubstr("warning: gan: rough figures (~): measured by fewer than three calls"));
}

TEST(EstimateText, BytesForAWhileAreHardlyAllThereAtTheSameTime) {
  auto one = estimate_stage(gan_work(), eight_ranks(), {});
  one.disk = {{"checkpoints", {1e9, false, ""}, true}};
  EXPECT_THAT(estimate_text({one, one}, {}, {}), HasSubstr("for a while <= 2 GB of checkpoints"));
}

TEST(EstimateText, SmallGpuHoursAddUpToWhatIsPrinted) {
  auto one = estimate_stage(gan_work(), eight_ranks(), gan_rate(41.2));
  auto small = one;
  small.seconds = 0.3;
  EXPECT_THAT(estimate_text({small, small}, {}, {}), HasSubstr("\nGPU hours: below 0.01\n"));
  EXPECT_THAT(estimate_text({one, one, small}, {}, {}),
              HasSubstr("GPU hours: 169 + 169 + what is below 0.01 = 337"));
}

TEST(LongestPath, IsThatOfTheSlowestInputs) {
  const auto stage = [](const char* name, double seconds) {
    StageEstimate estimate;
    estimate.stage = name;
    estimate.seconds = seconds;
    return estimate;
  };
  const std::vector<StageEstimate> stages{stage("a", 10), stage("b", 100), stage("c", 50),
                                          stage("d", 1)};
  const auto path = longest_path(stages, {{"b", {"a"}}, {"c", {"a", "queued"}}, {"d", {"b", "c"}}});
  EXPECT_DOUBLE_EQ(path.seconds, 111);
  EXPECT_THAT(path.stages, ElementsAre("a", "b", "d"));
}

TEST(Words, AreReadable) {
  EXPECT_EQ(number_words(25e6), "25,000,000");
  EXPECT_EQ(number_words(-1234), "-1,234");
  EXPECT_EQ(number_words(0.93), "0.93");
  EXPECT_EQ(number_words(123), "123");
  EXPECT_EQ(bytes_words(12'345'678), "12.3 MB");
  EXPECT_EQ(bytes_words(999), "999 B");
  EXPECT_EQ(time_words(81'720), "22.7 h");
  EXPECT_EQ(time_words(90), "1.5 min");
  EXPECT_EQ(time_words(0.0024), "0.0024 s");  // "at least below" would say nothing
  EXPECT_EQ(amount_words(1, "slides"), "1 slide");
}

}  // namespace
}  // namespace stylescope
