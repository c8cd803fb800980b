#include "stages/augment/pipe.hpp"

#include "stages/augment/affine_sample.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/gradcheck.hpp"

#include <cmath>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

using O = AugmentOperations;
using testing_support::expect_gradient;
using testing_support::expect_second_gradient;

torch::Tensor some_images(at::IntArrayRef shape, torch::Dtype type = torch::kFloat64) {
  return golden::values("augment.images", 1, shape, 0, 0.5).to(type);
}

std::vector<int64_t> all_of(int64_t n) {
  std::vector<int64_t> samples;
  for (int64_t i = 0; i < n; ++i) samples.push_back(i);
  return samples;
}

O only(double O::*member, double multiplier = 1) {
  O operations;
  operations.*member = multiplier;
  return operations;
}

// Open gates and draws that change nothing but what `set` sets.
template <class Set>
AugmentPlan plan_with(const O& operations, const ImageShape& shape, Set set, double p = 1) {
  ImageDraws draws;
  visit_draws(draws, [](double O::*, Distribution kind, double* numbers, int count) {
    for (int i = 0; i < count; ++i) numbers[i] = kind == Distribution::uniform ? 0.5 : 0;
  });
  draws.rotate90.value = draws.xflip.value = draws.lumaflip.value = 0;
  set(draws);
  return make_plan(operations, {draws}, p, shape);
}

double error(const torch::Tensor& actual, const torch::Tensor& expected) {
  return (actual - expected).abs().max().item<double>();
}

AffineMap turn_and_stretch(double angle, double x, double y) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {1.3 * c, -0.8 * s, x, 1.3 * s, 0.8 * c, y};
}

TEST(AffineSample, IsLibTorchsGridSample) {
  const auto x = some_images({3, 2, 11, 14});
  const std::vector<AffineMap> maps{
      {}, turn_and_stretch(0.7, 1.2, -2.1), turn_and_stretch(-2, 30, 0)};
  const auto y = affine_sample(x, maps, 9, 17);
  EXPECT_LT(error(y, affine_sample_plain(x, maps, 9, 17)), 1e-13);
  EXPECT_GT(y[1].abs().max().item<double>(), 0.1);
  EXPECT_EQ(y[2].abs().max().item<double>(), 0);  // wholly outside

  auto leaf = x.clone().requires_grad_(true);
  const auto r = some_images(y.sizes());
  affine_sample(leaf, maps, 9, 17).backward(r);
  EXPECT_LT(error(leaf.grad(), affine_sample_adjoint_plain(r, maps, 11, 14)), 1e-13);
}

TEST(AffineSample, DifferentiatesTwice) {
  const std::vector<AffineMap> maps{turn_and_stretch(0.4, 0.3, -0.6)};
  // Squared on both sides, so that the second derivative is none of zeros.
  const auto f = [&](const std::vector<torch::Tensor>& x) {
    return affine_sample(x[0] * x[0], maps, 5, 6).pow(2);
  };
  expect_gradient(f, {some_images({1, 1, 4, 5})});
  expect_second_gradient(f, {some_images({1, 1, 4, 5})});
}

// Not needed by affine_sample, which brings its own; if this fails, LibTorch has changed.
TEST(AffineSample, LibTorchsGridSampleHasAFirstDerivativeThatAgrees) {
  const std::vector<AffineMap> maps{turn_and_stretch(0.4, 0.3, -0.6)};
  auto a = some_images({1, 2, 6, 7}).requires_grad_(true);
  auto b = a.detach().clone().requires_grad_(true);
  affine_sample(a, maps, 5, 6).pow(2).sum().backward();
  affine_sample_plain(b, maps, 5, 6).pow(2).sum().backward();
  EXPECT_LT(error(a.grad(), b.grad()), 1e-12);
}

TEST(Augment, DifferentiatesTwiceThroughAllOperations) {
  O operations = operations_of("bgcfnc");
  const ImageShape shape{3, 22, 23};
  KeyedAugmentSource source(3);
  const auto plan = make_plan(operations, source.draws(0, "test", 1), 1, shape);
  const auto noise = source.noise(0, "test", {0}, {3, 22, 23}, torch::kFloat64);
  // A few inputs only: the image is spread from a small one.
  const auto f = [&](const std::vector<torch::Tensor>& x) {
    const auto image = torch::constant_pad_nd(x[0] * x[0], {9, 9, 9, 9}).narrow(3, 0, 23);
    return augment(image, plan, noise).pow(2);
  };
  const auto x = some_images({1, 3, 4, 5});
  expect_gradient(f, {x}, 1e-5);
  expect_second_gradient(f, {x}, 1e-5);
}

// Low frequencies only: the resampling filter is not quite symmetric, which mirrored images show.
torch::Tensor smooth_image(int64_t size) {
  const auto x = torch::linspace(0, 1, size, torch::kFloat64);
  return ((2 * x).cos().unsqueeze(1) * (x - x * x * x) + 0.3 * x).view({1, 1, size, size});
}

TEST(Augment, MirrorsAndTurns) {
  const auto x = smooth_image(24);
  const auto run = [&](double O::*member, auto set) {
    return augment(x, plan_with(only(member), {1, 24, 24}, set));
  };
  const auto mirrored = run(&O::xflip, [](ImageDraws& d) { d.xflip.value = 0.7; });
  EXPECT_LT(error(mirrored, x.flip({3})), 2e-2);
  EXPECT_GT(error(mirrored, x), 0.1);
  const auto half = run(&O::rotate90, [](ImageDraws& d) { d.rotate90.value = 0.6; });
  EXPECT_LT(error(half, x.flip({2, 3})), 2e-2);
  const auto turned = run(&O::rotate90, [](ImageDraws& d) { d.rotate90.value = 0.3; });
  EXPECT_LT(error(turned, x.transpose(2, 3).flip({2})), 2e-2);
  const auto slowly = run(&O::rotate, [](ImageDraws& d) { d.rotate_after.value = 0.75; });
  EXPECT_LT(error(slowly, turned), 1e-12);
}

TEST(Augment, ShiftsByWholePixelsExactly) {
  const auto x = some_images({1, 3, 12, 12});
  const auto moved =
      augment(x, plan_with(only(&O::xint), {3, 12, 12}, [](ImageDraws& d) { d.xint.x = 0.9; }));
  // 0.125 * 12 = 1.5 pixels at most, rounded; what comes in is reflected. The filter's taps are
  // rounded to float32.
  EXPECT_LT(error(moved.narrow(3, 1, 11), x.narrow(3, 0, 11)), 2e-6);
  EXPECT_LT(error(moved.narrow(3, 0, 1), x.narrow(3, 1, 1)), 2e-6);
}

TEST(Augment, MagnifiesAboutTheCentre) {
  const auto ramp = torch::linspace(-1, 1, 32, torch::kFloat64).expand({1, 1, 32, 32}).contiguous();
  // 2^(0.2 * 5) = 2: twice as large, so half as steep.
  const auto y = augment(
      ramp, plan_with(only(&O::scale), {1, 32, 32}, [](ImageDraws& d) { d.scale.value = 5; }));
  EXPECT_LT(error(y, ramp / 2), 5e-3);  // a pixel's step is 0.065
}

TEST(Augment, ColoursAsTheFormulasSay) {
  const auto x = some_images({1, 3, 5, 4});
  const ImageShape shape{3, 5, 4};
  const auto run = [&](double O::*member, auto set) {
    return augment(x, plan_with(only(member), shape, set));
  };
  const auto luma = x.mean(1, true);
  const auto bright = run(&O::brightness, [](ImageDraws& d) { d.brightness.value = 1.5; });
  EXPECT_LT(error(bright, x + 0.3), 1e-14);
  const auto contrast = run(&O::contrast, [](ImageDraws& d) { d.contrast.value = -2; });
  EXPECT_LT(error(contrast, x / 2), 1e-14);
  const auto flipped = run(&O::lumaflip, [](ImageDraws& d) { d.lumaflip.value = 0.5; });
  EXPECT_LT(error(flipped, x - 2 * luma), 1e-14);
  const auto grey = run(&O::saturation, [](ImageDraws& d) { d.saturation.value = -60; });
  EXPECT_LT(error(grey, luma.expand_as(x)), 1e-14);
  // A third of a turn exchanges the channels in a ring, and keeps light and dark.
  const auto hue = run(&O::hue, [](ImageDraws& d) { d.hue.value = 0.5 + 1.0 / 3; });
  EXPECT_LT(error(hue, x.roll(1, 1)), 1e-14);
}

TEST(Augment, ChangesNothingButTheResamplingsRoundingAtZero) {
  const auto x = some_images({2, 3, 24, 30});
  KeyedAugmentSource source(1);
  const auto plan = make_plan(operations_of("bgcfnc"), source.draws(0, "test", 2), 0, {3, 24, 30});
  const auto y = augment(x, plan, torch::ones_like(x));
  EXPECT_LT(error(y, x), 1e-5);
  EXPECT_GT(error(y, x), 0);  // resampled all the same
  const auto colour = make_plan(operations_of("color"), source.draws(0, "test", 2), 0, {3, 24, 30});
  EXPECT_EQ(error(augment(x, colour), x), 0);
}

TEST(Augment, KeepsAConstantImage) {
  const auto x = torch::full({4, 1, 16, 20}, 0.7, torch::kFloat64);
  KeyedAugmentSource source(2);
  const auto plan = make_plan(operations_of("bg"), source.draws(0, "test", 4), 1, {1, 16, 20});
  const auto y = augment(x, plan);
  // Reflection fills what comes in, except where it cannot reach (far corners of a shrunk image).
  EXPECT_NEAR(y.median().item<double>(), 0.7, 1e-6);
  EXPECT_LT(y.max().item<double>(), 0.7 * 1.5);
}

TEST(Augment, CutsOutABoxOfHalfTheSides) {
  const auto x = torch::ones({1, 1, 8, 12}, torch::kFloat64);
  const auto y = augment(x, plan_with(only(&O::cutout), {1, 8, 12}, [](ImageDraws&) {}));
  EXPECT_EQ((1 - y).sum().item<double>(), 4 * 6);
  EXPECT_EQ((1 - y).narrow(2, 2, 4).narrow(3, 3, 6).sum().item<double>(), 4 * 6);
}

TEST(Augment, AddsNoiseOfTheDrawnDeviation) {
  const auto x = some_images({1, 1, 6, 6}), noise = some_images({1, 1, 6, 6}) + 1;
  const auto plan =
      plan_with(only(&O::noise), {1, 6, 6}, [](ImageDraws& d) { d.noise.value = -2; });
  EXPECT_LT(error(augment(x, plan, noise), x + 0.2 * noise), 1e-14);
}

// The images that three ranks, two or one make are the same, in every bit.
TEST(Augment, DoesNotDependOnWhoAugmentsWhichImages) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const auto x = some_images({6, 3, 24, 22}, type);
    KeyedAugmentSource source(7);
    O operations = operations_of("bgcfnc");
    operations.imgfilter = 0;  // a library's convolution: the same up to rounding only
    AugmentPipe pipe(operations, source, 6);
    const auto whole = pipe(x, 0.7, 5, "d_main.real", all_of(6));
    for (const int64_t share : {1, 2, 3}) {
      for (int64_t first = 0; first < 6; first += share) {
        std::vector<int64_t> samples;
        for (int64_t i = 0; i < share; ++i) samples.push_back(first + i);
        const auto part = pipe(x.narrow(0, first, share), 0.7, 5, "d_main.real", samples);
        EXPECT_TRUE(torch::equal(part, whole.narrow(0, first, share))) << share << " " << first;
      }
    }
    EXPECT_EQ(pipe(x.narrow(0, 0, 0), 0.7, 5, "d_main.real", {}).size(0), 0);
    operations.imgfilter = 1;
    AugmentPipe filtering(operations, source, 6);
    const auto all = filtering(x, 0.7, 5, "d_main.real", all_of(6));
    EXPECT_LT(error(filtering(x.narrow(0, 4, 1), 0.7, 5, "d_main.real", {4}), all.narrow(0, 4, 1)),
              type == torch::kFloat64 ? 1e-13 : 1e-5);
  }
}

TEST(Augment, DoesNotDependOnTheNumberOfThreads) {
  const auto x = some_images({5, 1, 20, 20}, torch::kFloat32);
  KeyedAugmentSource source(7);
  AugmentPipe pipe(operations_of("bgc"), source, 5);
  const auto run = [&](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    auto leaf = x.clone().requires_grad_(true);
    const auto y = pipe(leaf, 0.7, 5, "d_main.real", all_of(5));
    y.pow(2).sum().backward();
    at::set_num_threads(before);
    return std::pair{y.detach(), leaf.grad()};
  };
  const auto one = run(1), two = run(2);
  EXPECT_TRUE(torch::equal(one.first, two.first));
  EXPECT_TRUE(torch::equal(one.second, two.second));
}

TEST(Augment, WorksInSinglePrecisionAndOnChannelsLast) {
  const auto x = some_images({2, 3, 24, 24});
  KeyedAugmentSource source(7);
  const auto plan = make_plan(operations_of("bgcf"), source.draws(0, "t", 2), 1, {3, 24, 24});
  const auto exact = augment(x, plan);
  const auto single =
      augment(x.to(torch::kFloat32).contiguous(torch::MemoryFormat::ChannelsLast), plan);
  EXPECT_EQ(single.scalar_type(), torch::kFloat32);
  EXPECT_LT(error(single.to(torch::kFloat64), exact), 1e-4);
}

}  // namespace
}  // namespace stylescope
