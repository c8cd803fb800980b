#include "stages/augment/plan.hpp"

#include "io/base/error.hpp"
#include "stages/augment/ada.hpp"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

using O = AugmentOperations;

int count_of(const O& operations) {
  int count = 0;
  for_each_operation([&](const char*, double O::*member) { count += operations.*member == 1; });
  return count;
}

TEST(AugmentOperations, PipesAreTheReferences) {
  const std::vector<std::pair<const char*, int>> pipes{
      {"blit", 3}, {"geom", 4}, {"color", 5}, {"filter", 1}, {"noise", 1},  {"cutout", 1},
      {"bg", 7},   {"bgc", 12}, {"bgcf", 13}, {"bgcfn", 14}, {"bgcfnc", 15}};
  for (const auto& [name, count] : pipes) EXPECT_EQ(count_of(operations_of(name)), count) << name;
  EXPECT_EQ(operations_of("noise").noise, 1);
  EXPECT_EQ(operations_of("cutout").cutout, 1);
  EXPECT_FALSE(operations_of("color").geometry());
  EXPECT_TRUE(operations_of("blit").geometry());
  EXPECT_FALSE(operations_of("bg").colour());
  EXPECT_THROW(operations_of("bgn"), UsageError);
}

TEST(AdaConfig, OperationsCanBeSwitchedOff) {
  AdaConfig config;
  config.operations.rotate90 = 0;
  config.operations.noise = 0.5;
  const auto o = config.resolved();
  EXPECT_EQ(o.rotate90, 0);
  EXPECT_EQ(o.noise, 0.5);
  EXPECT_EQ(o.xflip, 1);
  EXPECT_EQ(o.cutout, 0);
  config.mode = "off";
  EXPECT_EQ(count_of(config.resolved()), 0);
}

void expect_usage_error(const AdaConfig& config, const ImageShape& shape, const std::string& key) {
  try {
    config.check(shape.channels, shape.height, shape.width);
    FAIL() << "no error about " << key;
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("gan.augment." + key), std::string::npos)
        << error.what();
  }
}

TEST(AdaConfig, NamesTheKeyThatIsWrong) {
  AdaConfig config;
  config.check(3, 16, 16);
  config.mode = "fixed";
  expect_usage_error(config, {3, 16, 16}, "p");
  config = {};
  config.operations.hue = -0.5;
  expect_usage_error(config, {3, 16, 16}, "operations.hue");
  config = {};
  config.pipe = "bgcf";
  config.check(3, 22, 22);
  expect_usage_error(config, {3, 16, 16}, "pipe");
  config = {};
  expect_usage_error(config, {4, 16, 16}, "pipe");
  config.pipe = "bg";
  config.check(4, 16, 16);
}

TEST(AugmentDraws, OfASampleAreItsOwn) {
  KeyedAugmentSource source(5);
  const auto some = source.draws(3, "d_main.real", 4), more = source.draws(3, "d_main.real", 9);
  for (size_t i = 0; i < some.size(); ++i) {
    EXPECT_EQ(some[i].xflip.value, more[i].xflip.value);
    EXPECT_EQ(some[i].cutout.y, more[i].cutout.y);
  }
  std::set<double> seen;
  const auto gather = [&](const std::vector<ImageDraws>& all) {
    for (auto image : all)
      visit_draws(image, [&](double O::*, Distribution, double* numbers, int count) {
        seen.insert(numbers, numbers + count);
      });
  };
  gather(more);
  EXPECT_EQ(seen.size(), 9U * 41U);  // no number twice
  gather(source.draws(3, "d_main.gen", 9));
  gather(source.draws(4, "d_main.real", 9));
  EXPECT_EQ(seen.size(), 27U * 41U);
  const auto noise = source.noise(3, "d_main.real", {4, 1}, {1, 2, 2}, torch::kFloat64);
  const auto other = source.noise(3, "d_main.real", {1}, {1, 2, 2}, torch::kFloat64);
  EXPECT_TRUE(torch::equal(noise[1], other[0]));
}

TEST(AugmentPlan, MeetsEachOperationWithItsProbability) {
  KeyedAugmentSource source(5);
  constexpr int64_t kImages = 4000;
  const auto draws = source.draws(0, "test", kImages);
  const auto share = [&](const O& operations, double p, auto changed) {
    const auto plan = make_plan(operations, draws, p, {1, 32, 32});
    int64_t count = 0;
    for (const auto& image : plan.images) count += changed(image);
    return static_cast<double>(count) / kImages;
  };
  // Five standard deviations of a share of 4000.
  constexpr double kFar = 5 * 0.5 / 63;
  O turns;
  turns.rotate = 1;
  const auto turned = [](const ImageChange& c) { return c.inverse.xx != 1; };
  EXPECT_NEAR(share(turns, 0.4, turned), 0.4, kFar);  // the two together
  EXPECT_EQ(share(turns, 1, turned), 1);
  EXPECT_EQ(share(turns, 0, turned), 0);
  O scales;
  scales.scale = 0.5;
  EXPECT_NEAR(share(scales, 0.6, turned), 0.3, kFar);
  O flips;
  flips.xflip = 1;
  EXPECT_NEAR(share(flips, 1, turned), 0.5, kFar);  // half of the values leave the image as it is
  O noise;
  noise.noise = 1;
  EXPECT_NEAR(share(noise, 0.25, [](const ImageChange& c) { return c.noise > 0; }), 0.25, kFar);
  O cutout;
  cutout.cutout = 1;
  EXPECT_NEAR(share(cutout, 0.25, [](const ImageChange& c) { return c.cutout.side > 0; }), 0.25,
              kFar);
}

TEST(AugmentPlan, MarginHoldsForTheWholeBatch) {
  std::vector<ImageDraws> draws(3);
  for (auto& d : draws) d.xint.x = d.xint.y = 0.5;
  draws[1].xint = {1 - 1e-9, 0.5, 0};  // 4 pixels to the right
  O operations;
  operations.xint = 1;
  const auto plan = make_plan(operations, draws, 1, {1, 16, 32});
  EXPECT_EQ(plan.margin.left, 6 + 4);
  EXPECT_EQ(plan.margin.right, 6);
  EXPECT_EQ(plan.margin.above, 6);
  EXPECT_EQ(plan.margin.below, 6);
  const auto picked = plan.pick({2});
  EXPECT_EQ(picked.images.size(), 1U);
  EXPECT_EQ(picked.margin.left, 10);
  // No more than there is to reflect.
  EXPECT_EQ(make_plan(operations, draws, 1, {1, 4, 8}).margin.above, 3);
}

TEST(AugmentPlan, SwitchedOffOperationsLeaveTheOthersAlone) {
  KeyedAugmentSource source(5);
  const auto draws = source.draws(0, "test", 8);
  O all = operations_of("bgc"), fewer = all;
  fewer.lumaflip = fewer.hue = fewer.saturation = 0;
  const auto a = make_plan(all, draws, 0.8, {3, 16, 16});
  const auto b = make_plan(fewer, draws, 0.8, {3, 16, 16});
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(a.images[i].inverse.xx, b.images[i].inverse.xx);
    EXPECT_EQ(a.images[i].inverse.y0, b.images[i].inverse.y0);
    for (size_t c = 0; c < 3; ++c)  // brightness and contrast only
      EXPECT_EQ(b.images[i].colour[c][(c + 1) % 3], 0);
  }
  EXPECT_FALSE(make_plan(operations_of("color"), draws, 1, {3, 16, 16}).geometry);
}

TEST(AugmentPlan, RefusesWhatItCannotDo) {
  const std::vector<ImageDraws> draws(1);
  EXPECT_THROW(make_plan(operations_of("bgc"), draws, 1, {2, 32, 32}), Error);
  EXPECT_THROW(make_plan(operations_of("filter"), draws, 1, {1, 21, 32}), Error);
}

TEST(Ada, StaysAboveZeroAndCanPassOne) {
  AdaConfig config;
  config.kimg = 0.064;  // half of it each time
  AdaController ada(config, 8);
  const auto move = [&](double sum, int64_t count = 8) {
    for (int64_t step = 0; step < 4; ++step) {
      ada.observe(sum, static_cast<double>(count));
      ada.end_step(step);
    }
    return ada.p();
  };
  EXPECT_EQ(move(0), 0);
  EXPECT_EQ(move(8), 0.5);
  EXPECT_EQ(move(8), 1);
  EXPECT_EQ(move(8), 1.5);
  EXPECT_EQ(ada.rt(), 1);
  EXPECT_EQ(move(-8), 1);
  EXPECT_EQ(move(3, 5), 1);  // on the target
  EXPECT_EQ(move(std::nan("")), 1);
}

TEST(Ada, FixedStaysAndOffIsZero) {
  AdaConfig config;
  config.mode = "fixed";
  config.p = 0.3;
  AdaController fixed(config, 8);
  fixed.observe(8, 8);
  EXPECT_TRUE(fixed.end_step(3));
  EXPECT_EQ(fixed.p(), 0.3);
  EXPECT_EQ(fixed.rt(), 1);
  config.mode = "off";
  EXPECT_EQ(AdaController(config, 8).p(), 0);
}

TEST(Ada, GoesOnFromItsState) {
  AdaConfig config;
  config.kimg = 500;
  config.target = 0.3;
  AdaController whole(config, 8), first(config, 8), second(config, 8);
  for (int64_t step = 0; step < 20; ++step) {
    auto& half = step < 10 ? first : second;
    if (step == 10) {
      const auto from = first.state(), to = second.state();
      to.p = from.p;
      to.sum = from.sum;
      to.count = from.count;
      to.rt = from.rt;
    }
    for (auto* ada : {&whole, &half}) {
      ada->observe(static_cast<double>(step % 9), 8);
      ada->end_step(step);
    }
  }
  EXPECT_EQ(whole.p(), second.p());
  EXPECT_EQ(whole.rt(), second.rt());
  EXPECT_GT(whole.p(), 0);
}

}  // namespace
}  // namespace stylescope
