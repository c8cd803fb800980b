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
  EXPECT_FALSE(estimate_stage(gan_work(), eight_ranks(), {}).seconds);
}

TEST(Estimate, PassByPassFromWhatOneRankTakes) {
  auto work = gan_work();
  work.beside = {{Pass::classifier, {1e6, false, ""}}};
  MeasuredRates rates;
  rates.passes[Pass::gan_step] = {0.02, "here"};
  rates.passes[Pass::classifier] = {0.001, "here"};
  work.beside.push_back({Pass::encoder, {std::nullopt, false, "unknown"}});  // left out
  const auto estimate = estimate_stage(work, eight_ranks(), rates);
  EXPECT_DOUBLE_EQ(*estimate.seconds, (25e6 * 0.02 + 1e6 * 0.001) / 8);
  EXPECT_THAT(estimate.lines,
              Contains("time: (25,000,000 images x 20 ms + 1,000,000 images x 1 ms) / (8 ranks x "
                       "1) = 17.4 h"));
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
  job.sessions = 2;
  EXPECT_THAT(estimate_stage(gan_work(), job, rates).warnings[0], HasSubstr("slurm.restarts"));
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
  EXPECT_EQ(amount_words(1, "slides"), "1 slide");
}

}  // namespace
}  // namespace stylescope
