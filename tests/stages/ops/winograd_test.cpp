#include "stages/ops/winograd.hpp"

#include "stages/ops/conv2d_resample.hpp"
#include "stages/ops/upfirdn2d.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/gradcheck.hpp"

#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

torch::Tensor direct(const torch::Tensor& x, const torch::Tensor& weight, double gain = 1) {
  return torch::conv2d(x, weight * gain, {}, 1, 1);
}

struct Size {
  int64_t n, in, out, height, width;
};
// Whole tiles, parts of tiles at both borders, images smaller than a tile, and more tiles than are
// transformed at a time.
const std::vector<Size> kSizes{
    {1, 16, 16, 8, 8}, {2, 32, 16, 4, 4},   {3, 16, 48, 5, 11},
    {2, 16, 16, 1, 3}, {1, 16, 32, 2, 130}, {9, 16, 16, 32, 36},
};

TEST(Winograd, IsTheDirectConvolution) {
  for (const auto& s : kSizes)
    for (const bool last : {false, true}) {
      auto x = golden::values("x", 1, {s.n, s.in, s.height, s.width});
      if (last) x = x.contiguous(torch::MemoryFormat::ChannelsLast);
      const auto w = golden::values("w", 2, {s.out, s.in, 3, 3});
      const auto y = winograd_conv3x3(x, w, 0.7);
      EXPECT_TRUE(y.is_contiguous(torch::MemoryFormat::ChannelsLast));
      EXPECT_LT(golden::relative_error(y, direct(x, w, 0.7)), 1e-13) << s.height << "x" << s.width;
    }
}

// In float32 the transforms lose some six bits: their largest factors multiply the rounding errors
// (2^-24 each) of the products by up to 2.5^4.
TEST(Winograd, IsPreciseInFloat32) {
  const auto x = golden::values("x", 1, {2, 256, 16, 16});
  const auto w = golden::values("w", 2, {64, 256, 3, 3});
  const auto y = winograd_conv3x3(x.to(torch::kFloat32), w.to(torch::kFloat32));
  EXPECT_LT(golden::relative_error(y.to(torch::kFloat64), direct(x, w)), 39 * 3 * 6e-8);
}

double deviation(const torch::Tensor& found, const torch::Tensor& expected) {
  return ((found.to(torch::kFloat64) - expected).square().mean() / expected.square().mean())
      .sqrt()
      .item<double>();
}

// In bfloat16 the values at the points are rounded to eight bits (2^-9 at most, a third of that on
// average), and the transforms enlarge that several times: 1.2 % of the result's standard deviation
// for random values, in every derivative.
TEST(Winograd, IsPreciseToOneInFiftyInBfloat16) {
  for (const auto& s : kSizes) {
    const auto rounded = [](const torch::Tensor& t) { return t.to(torch::kBFloat16); };
    const auto x = rounded(golden::values("x", 1, {s.n, s.in, s.height, s.width})),
               w = rounded(golden::values("w", 2, {s.out, s.in, 3, 3})),
               g = rounded(golden::values("g", 3, {s.n, s.out, s.height, s.width}));
    const auto results = [&](torch::Dtype type, auto convolve) {
      const auto a = x.to(type).requires_grad_(true), b = w.to(type).requires_grad_(true);
      const auto y = convolve(a, b);
      auto all = torch::autograd::grad({y}, {a, b}, {g.to(type)});
      all.push_back(y.detach());
      return all;
    };
    const auto ours = results(
        torch::kBFloat16, [](const auto& a, const auto& b) { return winograd_conv3x3(a, b, 0.7); });
    const auto exact =
        results(torch::kFloat64, [](const auto& a, const auto& b) { return direct(a, b, 0.7); });
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i].scalar_type(), torch::kBFloat16);
      EXPECT_LT(deviation(ours[i], exact[i]), 0.02) << i << " at " << s.height << "x" << s.width;
    }
  }
}

// What is not finite stays so: the trainer counts on seeing it.
TEST(Winograd, PassesOnWhatIsNotFiniteInBfloat16) {
  for (const double value :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    auto x = golden::values("x", 1, {1, 16, 8, 8}).to(torch::kBFloat16);
    x[0][3][2][2] = value;
    const auto w = golden::values("w", 2, {16, 16, 3, 3}).to(torch::kBFloat16);
    EXPECT_FALSE(
        winograd_conv3x3(x, w)[0].slice(1, 1, 4).slice(2, 1, 4).isfinite().any().item<bool>());
  }
}

std::vector<torch::Tensor> first_and_second(const torch::Tensor& x, const torch::Tensor& w,
                                            const torch::Tensor& y) {
  const auto g = golden::values("g", 3, y.sizes()).requires_grad_(true);
  auto all = torch::autograd::grad({y}, {x, w}, {g}, true, true);
  const auto u = golden::values("u", 4, x.sizes()), v = golden::values("v", 5, w.sizes());
  const auto probe = (all[0] * u).sum() + (all[1] * v).sum();
  for (const auto& second : torch::autograd::grad({probe}, {x, w, g})) all.push_back(second);
  return all;
}

TEST(Winograd, HasTheDerivativesOfTheDirectConvolution) {
  for (const auto& s : kSizes) {
    const auto x = golden::values("x", 1, {s.n, s.in, s.height, s.width}).requires_grad_(true);
    const auto w = golden::values("w", 2, {s.out, s.in, 3, 3}).requires_grad_(true);
    const auto ours = first_and_second(x, w, winograd_conv3x3(x, w, 0.7));
    const auto theirs = first_and_second(x, w, direct(x, w, 0.7));
    for (size_t i = 0; i < ours.size(); ++i)
      EXPECT_LT(golden::relative_error(ours[i], theirs[i]), 1e-12) << i << " at " << s.height;
  }
}

TEST(Winograd, DoesNotDependOnThreads) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    // 3 samples of 5x7 tiles: an odd number, so that the last one has no neighbour in a pair.
    const auto x = golden::values("x", 1, {3, 16, 20, 27}).to(type).requires_grad_(true);
    const auto w = golden::values("w", 2, {32, 16, 3, 3}).to(type).requires_grad_(true);
    const auto results = [&](int threads) {
      const int before = at::get_num_threads();
      at::set_num_threads(threads);
      const auto y = winograd_conv3x3(x, w);
      auto all = torch::autograd::grad({y.square().sum()}, {x, w});
      all.push_back(y.detach());
      at::set_num_threads(before);
      return all;
    };
    const auto one = results(1), three = results(3);
    for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(torch::equal(one[i], three[i])) << i;
  }
}

// conv2d_resample takes this way for what it suits, and no other.
TEST(Winograd, SuitsOnlyItsOwnConvolutions) {
  const auto x = golden::values("x", 1, {8, 64, 8, 8});
  const auto weight = [](int64_t out, int64_t in, int64_t k) {
    return golden::values("w", 2, {out, in, k, k});
  };
  EXPECT_TRUE(winograd_suits(x, weight(64, 64, 3)));
  EXPECT_FALSE(winograd_suits(x, weight(64, 64, 1)));
  EXPECT_FALSE(winograd_suits(x, weight(72, 64, 3)));
  EXPECT_FALSE(winograd_suits(x, weight(32, 64, 3)));
  EXPECT_FALSE(winograd_suits(x.narrow(0, 0, 1), weight(64, 64, 3)));
  EXPECT_TRUE(winograd_suits(x.to(torch::kBFloat16), weight(64, 64, 3)));
  EXPECT_FALSE(winograd_suits(x.to(torch::kFloat16), weight(64, 64, 3)));
  for (const int64_t k : {1, 3})
    EXPECT_LT(
        golden::relative_error(conv2d_resample(x, weight(64, 64, k), {}, 1, 1, Padding::all(k / 2)),
                               torch::conv2d(x, weight(64, 64, k), {}, 1, k / 2)),
        1e-13);
}

}  // namespace
}  // namespace stylescope
