// The augmentation against what StyleGAN2-ADA makes of the same images and random numbers.
#include "stages/augment/ada.hpp"
#include "stages/augment/filters.hpp"
#include "stages/augment/pipe.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/golden_augment.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

using O = AugmentOperations;
constexpr double kTolerance = 1e-9;

const torch::Tensor& stored(const std::string& key) { return golden::load("ada").at(key); }

torch::Tensor images(const std::string& name) {
  return stored("in/" + (name == "grey" ? std::string("grey_24x40") : name)).to(torch::kFloat64);
}

ImageShape shape_of(const torch::Tensor& x) { return {x.size(1), x.size(2), x.size(3)}; }

// A pipe's name, or one operation's; bgcfc is bgcf with cutout.
O operations_named(const std::string& spec) {
  O one;
  bool found = false;
  for_each_operation([&](const char* name, double O::*member) {
    if (spec != name || spec == "noise" || spec == "cutout") return;
    one.*member = 1;
    found = true;
  });
  if (found) return one;
  if (spec != "bgcfc") return operations_of(spec);
  O all = operations_of("bgcf");
  all.cutout = 1;
  return all;
}

// What the reference calls debug_percentile: every draw at this percentile, every gate open, no
// second turn.
ImageDraws at_percentile(double percentile) {
  const double normal =
      torch::erfinv(torch::full({1}, 2 * percentile - 1, torch::kFloat64)).item<double>();
  ImageDraws draws;
  visit_draws(draws, [&](double O::*, Distribution kind, double* numbers, int count) {
    for (int i = 0; i < count; ++i)
      numbers[i] = kind == Distribution::gate     ? 0
                   : kind == Distribution::normal ? normal
                                                  : percentile;
  });
  draws.rotate_after.value = 0.5;
  return draws;
}

std::vector<std::string> cases(const std::string& group) {
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : golden::load("ada"))
    if (key.starts_with(group) && key.ends_with(".y"))
      keys.push_back(key.substr(0, key.size() - 2));
  return keys;
}

// group/spec/number/image
std::vector<std::string> parts(const std::string& key) {
  std::vector<std::string> all{""};
  for (const char c : key)
    if (c == '/')
      all.emplace_back();
    else
      all.back() += c;
  return all;
}

void expect_golden(const std::string& key, torch::Tensor x, const AugmentPlan& plan,
                   const torch::Tensor& noise = {}) {
  x.requires_grad_(true);
  const auto y = augment(x, plan, noise);
  golden::expect_equal("ada", key + ".y", y, kTolerance);
  (y * golden::probe("ada", y.sizes())).sum().backward();
  golden::expect_equal("ada", key + ".dx", x.grad(), kTolerance);
}

class Percentile : public testing::TestWithParam<std::string> {};

TEST_P(Percentile, MatchesGoldenValuesAndGradient) {
  const auto& key = GetParam();
  const auto part = parts(key);
  auto x = images(part[3]);
  const std::vector<ImageDraws> draws(static_cast<size_t>(x.size(0)),
                                      at_percentile(std::stod(part[2])));
  expect_golden(key, x, make_plan(operations_named(part[1]), draws, 1, shape_of(x)));
}

class Draws : public testing::TestWithParam<std::string> {};

TEST_P(Draws, MatchGoldenValuesAndGradient) {
  const auto& key = GetParam();
  const auto part = parts(key);
  auto x = images(part[3]);
  const auto operations = operations_named(part[1]);
  const auto drawn = [&](int64_t n) {
    const auto number = std::to_string(n);
    return stored(key + "/draw" + (n < 10 ? "0" : "") + number).to(torch::kFloat64);
  };
  const auto draws = golden::replay_draws(
      operations, x.size(1), x.size(0), [&](int64_t n, Distribution, int64_t) { return drawn(n); });
  const auto plan = make_plan(operations, draws, std::stod(part[2]), shape_of(x));
  expect_golden(key, x, plan, plan.noise ? drawn(2) : torch::Tensor());
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Golden, Percentile, testing::ValuesIn(cases("pct/")), test_name);
INSTANTIATE_TEST_SUITE_P(Golden, Draws, testing::ValuesIn(cases("draws/")), test_name);

TEST(AugmentGolden, SeesAllCases) {
  EXPECT_EQ(cases("pct/").size(), 68U);
  EXPECT_EQ(cases("draws/").size(), 6U);
}

TEST(AugmentFilters, AreThoseOfTheReference) {
  EXPECT_TRUE(torch::equal(resampling_filter(), stored("buf/Hz_geom")));
  EXPECT_TRUE(torch::equal(band_filters(), stored("buf/Hz_fbank")));
}

TEST(AugmentFilters, BandsSplitAnImageWithoutLoss) {
  const auto bank = band_filters().to(torch::kFloat64);
  ASSERT_EQ(bank.sizes(), (std::vector<int64_t>{4, 2 * kImageFilterReach + 1}));
  auto impulse = torch::zeros({2 * kImageFilterReach + 1}, torch::kFloat64);
  impulse[kImageFilterReach] = 1;
  EXPECT_LT((bank.sum(0) - impulse).abs().max().item<double>(), 1e-7);
  const auto constant = torch::tensor({1.0, 0.0, 0.0, 0.0}, torch::kFloat64);
  EXPECT_LT((bank.sum(1) - constant).abs().max().item<double>(), 1e-7);
}

// The real images of the golden loop are known, and so is all that augments them.
class LoopCall : public testing::TestWithParam<std::string> {};

TEST_P(LoopCall, AugmentsTheRealImagesOfTheGoldenLoop) {
  const std::string run = GetParam();
  const auto& loop = golden::load("loop");
  const auto reals = golden::values("loop.real", 21, {64, 1, 16, 16}, 0, 0.5).clamp(-1, 1);
  golden::LoopAugmentSource source;
  AugmentPipe pipe(operations_of("bgc"), source, 8);
  const std::vector<int64_t> samples{0, 1, 2, 3, 4, 5, 6, 7};
  for (const std::string call : {"d_main.real", "d_r1.real"}) {
    const auto key = run + "/aug/" + golden::LoopAugmentSource::golden_name(call);
    for (int64_t step = 0; step < 20; step += call == "d_r1.real" ? 16 : 1) {
      const double p = loop.at(run + "/ada/p_used")[step].item<double>();
      const auto x = reals.narrow(0, 8 * step % 64, 8);
      const auto y = pipe(x, p, step, call, samples);
      const auto expected = loop.at(key + ".out")[step];
      const double norm = expected[1].item<double>();
      EXPECT_NEAR(y.sum().item<double>(), expected[0].item<double>(), 1e-11 * norm);
      EXPECT_NEAR(y.norm().item<double>(), norm, 1e-11 * norm);
      EXPECT_NEAR((y * golden::probe("loop.img", y.sizes())).sum().item<double>(),
                  expected[2].item<double>(), 1e-11 * norm)
          << key << " at " << step;
      // A corner that lies on a whole pixel may be rounded up by the reference.
      const auto plan =
          make_plan(operations_of("bgc"), source.draws(step, call, 8), p, {1, 16, 16});
      const auto pad = loop.at(key + ".pad")[step];
      const int64_t ours[] = {plan.margin.left, plan.margin.right, plan.margin.above,
                              plan.margin.below};
      for (int64_t side = 0; side < 4; ++side)
        EXPECT_LE(std::abs(ours[side] - pad[side].item<int64_t>()), p == 0 ? 1 : 0);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Golden, LoopCall, testing::Values("B", "C"));

TEST(Ada, MovesAsInTheGoldenLoop) {
  for (const std::string run : {"B", "C"}) {
    const auto& loop = golden::load("loop");
    const auto number = [&](const std::string& key, int64_t step) {
      return loop.at(run + "/" + key)[step].item<double>();
    };
    AdaConfig config;
    config.kimg = 0.2;
    config.p = number("ada/p_used", 0);
    AdaController ada(config, 8);
    for (int64_t step = 0; step < 20; ++step) {
      EXPECT_NEAR(ada.p(), number("ada/p_used", step), 1e-12);
      ada.observe(8 * number("sign/Dmain_real", step), 8);
      if (step % 16 == 0) ada.observe(8 * number("sign/Dreg_real", step), 8);
      const double count = ada.state().count;
      const bool moved = ada.end_step(step);
      EXPECT_EQ(moved, step % 4 == 3);
      EXPECT_NEAR(ada.p(), number("ada/p_after", step), 1e-12) << run << " at " << step;
      if (!moved) continue;
      EXPECT_EQ(count, number("ada/rt_num", step));
      EXPECT_NEAR(ada.rt(), number("ada/rt", step), 1e-12);
      EXPECT_EQ(ada.state().count, 0);
    }
  }
}

}  // namespace
}  // namespace stylescope
