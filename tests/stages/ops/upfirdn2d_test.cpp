#include "stages/ops/upfirdn2d.hpp"

#include "io/base/error.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/gradcheck.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

const torch::Tensor& stored(const std::string& key) { return golden::load("ops").at(key); }

torch::Tensor filter_named(const std::string& name) {
  return name == "none" ? torch::Tensor() : stored("setup_filter/" + name);
}

struct Case {
  std::string name, filter;
  Factor up, down;
  Padding pad;
  bool flip = false;
  double gain = 1;
};

// The arguments of every golden case.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"a", "1331", 1, 1, {}},
      {"b", "1331", 2, 1, {2, 1, 2, 1}, false, 4},
      {"c", "1331", 1, 2, {1, 1, 1, 1}},
      {"d", "1331", 2, 1, {1, 2, 0, 3}, true, 2.5},
      {"e", "asym", {2, 3}, {1, 2}, {3, -1, 2, 0}},
      {"f", "asym", {3, 1}, {2, 1}, {-1, 4, 3, 1}, true, 0.5},
      {"g", "2d", 1, 1, {1, 1, 1, 1}},
      {"h", "2d", 2, 2, {2, 2, 1, 3}, true, 3},
      {"i", "sym6", 2, 1, {6, 5, 6, 5}, false, 4},
      {"j", "sym6", 1, 2, {5, 5, 5, 5}, true},
      {"k", "1331_sep", {1, 2}, {2, 1}, {2, 1, 2, 1}, false, 2},
      {"l", "none", 2, 1, {}},
      {"m", "tap8", 1, 1, {4, 3, -1, 8}},
      {"n", "1331", 4, 3, {4, 5, 6, 7}, false, 16},
  };
  return all;
}

torch::Tensor apply(const Case& c, const torch::Tensor& x) {
  return upfirdn2d(x, filter_named(c.filter), c.up, c.down, c.pad, c.flip, c.gain);
}
torch::Tensor apply_plain(const Case& c, const torch::Tensor& x) {
  return upfirdn2d_plain(x, filter_named(c.filter), c.up, c.down, c.pad, c.flip, c.gain);
}

torch::Tensor channels_last(const torch::Tensor& x) {
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

class Upfirdn2d : public testing::TestWithParam<Case> {};

TEST_P(Upfirdn2d, MatchesGoldenValuesAndGradient) {
  const auto& c = GetParam();
  for (const bool last : {false, true}) {
    auto x = stored("upfirdn2d/x").to(torch::kFloat64);
    if (last) x = channels_last(x);
    x.requires_grad_(true);
    const auto y = apply(c, x);
    golden::expect_equal("ops", "upfirdn2d/" + c.name + ".y", y, 1e-12);
    (y * golden::probe("upfirdn2d." + c.name, y.sizes())).sum().backward();
    golden::expect_equal("ops", "upfirdn2d/" + c.name + ".dx", x.grad(), 1e-12);
  }
}

TEST_P(Upfirdn2d, MatchesGoldenInSinglePrecision) {
  const auto& c = GetParam();
  auto x = stored("upfirdn2d/x").clone().requires_grad_(true);
  const auto y = apply(c, x);
  ASSERT_EQ(y.scalar_type(), torch::kFloat32);
  golden::expect_equal("ops", "upfirdn2d/" + c.name + ".y", y, 1e-6);
  (y * golden::probe("upfirdn2d." + c.name, y.sizes()).to(torch::kFloat32)).sum().backward();
  golden::expect_equal("ops", "upfirdn2d/" + c.name + ".dx", x.grad(), 1e-6);
}

TEST_P(Upfirdn2d, DerivativesAreExactToSecondOrder) {
  const auto& c = GetParam();
  for (const bool last : {false, true}) {
    auto x = golden::values("x", 1, {2, 2, 5, 4});
    if (last) x = channels_last(x);
    testing_support::expect_gradient([&](const auto& in) { return apply(c, in[0]); }, {x});
    // Squared, so that the second derivative passes through the operator's backward.
    testing_support::expect_second_gradient(
        [&](const auto& in) { return apply(c, in[0]).square(); }, {x}, 1e-5);
  }
}

// The plain formulation is independent of the kernel, and LibTorch differentiates it.
TEST_P(Upfirdn2d, KernelEqualsPlainOperations) {
  const auto& c = GetParam();
  for (const auto& shape :
       std::vector<std::vector<int64_t>>{{2, 5, 11, 6}, {1, 1, 9, 13}, {3, 4, 8, 8}}) {
    for (const auto type : {torch::kFloat64, torch::kFloat32}) {
      const double bound = type == torch::kFloat64 ? 1e-13 : 2e-6;
      auto a = golden::values("x", 2, shape).to(type).requires_grad_(true);
      auto b = a.detach().clone().requires_grad_(true);
      auto l = channels_last(a.detach().clone()).requires_grad_(true);
      const auto ya = apply(c, a), yb = apply_plain(c, b), yl = apply(c, l);
      EXPECT_LT(golden::relative_error(ya, yb), bound);
      EXPECT_TRUE(torch::equal(ya, yl)) << "the layout changes the result";
      EXPECT_TRUE(yl.is_contiguous(torch::MemoryFormat::ChannelsLast));
      EXPECT_TRUE(ya.is_contiguous());
      const auto r = golden::values("r", 3, ya.sizes()).to(type);
      (ya * r).sum().backward();
      (yb * r).sum().backward();
      (yl * channels_last(r)).sum().backward();
      EXPECT_LT(golden::relative_error(a.grad(), b.grad()), bound);
      EXPECT_TRUE(torch::equal(a.grad(), l.grad()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, Upfirdn2d, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(Upfirdn2dResult, DoesNotDependOnTheNumberOfThreads) {
  const auto x = golden::values("x", 4, {2, 8, 33, 31}).to(torch::kFloat32);
  const int before = at::get_num_threads();
  for (const auto& c : cases()) {
    at::set_num_threads(1);
    const auto one = apply(c, x), one_last = apply(c, channels_last(x));
    at::set_num_threads(3);
    EXPECT_TRUE(torch::equal(one, apply(c, x))) << c.name;
    EXPECT_TRUE(torch::equal(one_last, apply(c, channels_last(x)))) << c.name;
  }
  at::set_num_threads(before);
}

TEST(Upfirdn2dResult, TakesViewsAndExpandedGradients) {
  const auto whole = golden::values("x", 5, {2, 3, 8, 12});
  auto view = whole.slice(3, 1, 11, 2).requires_grad_(true);
  const auto f = default_filter();
  const auto y = upfirdn2d(view, f, 2, 1, {2, 1, 2, 1});
  EXPECT_TRUE(torch::equal(y, upfirdn2d(view.contiguous(), f, 2, 1, {2, 1, 2, 1})));
  // sum() hands back an expanded gradient of stride 0.
  const auto dx = torch::autograd::grad({y.sum()}, {view})[0];
  auto copy = view.detach().clone().requires_grad_(true);
  const auto expected =
      torch::autograd::grad({upfirdn2d_plain(copy, f, 2, 1, {2, 1, 2, 1}).sum()}, {copy})[0];
  EXPECT_LT(golden::relative_error(dx, expected), 1e-14);
}

TEST(Upfirdn2dResult, RefusesImagesSmallerThanTheFilter) {
  EXPECT_THROW(upfirdn2d(torch::zeros({1, 1, 2, 9}), default_filter()), Error);
  EXPECT_THROW(upfirdn2d(torch::zeros({1, 1, 9, 9}), default_filter(), 1, 1, {-3, -3, 0, 0}),
               Error);
}

TEST(Resample, MatchesGolden) {
  const auto x = stored("upfirdn2d/x").to(torch::kFloat64);
  const auto f = [](const char* name) { return filter_named(name); };
  golden::expect_equal("ops", "resample/up2.y", upsample2d(x, f("1331")), 1e-12);
  golden::expect_equal("ops", "resample/up2_sym6.y", upsample2d(x, f("sym6")), 1e-12);
  golden::expect_equal("ops", "resample/down2.y", downsample2d(x, f("1331")), 1e-12);
  golden::expect_equal("ops", "resample/filter.y", filter2d(x, f("1331")), 1e-12);
  golden::expect_equal("ops", "resample/down2_sym6_padm6_flip.y",
                       downsample2d(x, f("sym6"), 2, Padding::all(-2), true), 1e-12);
  golden::expect_equal("ops", "resample/up3_asym_pad1.y",
                       upsample2d(x, f("asym"), 3, Padding::all(1)), 1e-12);
  golden::expect_equal("ops", "resample/down3_asym.y", downsample2d(x, f("asym"), 3), 1e-12);
}

TEST(SetupFilter, MatchesGolden) {
  const auto row = [](std::vector<float> v) { return torch::tensor(v); };
  const auto expect = [](const std::string& name, const torch::Tensor& actual) {
    EXPECT_EQ(actual.scalar_type(), torch::kFloat32) << name;
    EXPECT_EQ(actual.sizes(), stored("setup_filter/" + name).sizes()) << name;
    golden::expect_equal("ops", "setup_filter/" + name, actual, 1e-7);
  };
  FilterOptions gain4, flip, raw, flip_gain2, separable;
  gain4.gain = 4, flip.flip = true, raw.normalize = false, separable.separable = true;
  flip_gain2.flip = true, flip_gain2.gain = 2;
  expect("1331", setup_filter(row({1, 3, 3, 1})));
  expect("1331", default_filter());
  expect("1331_gain4", setup_filter(row({1, 3, 3, 1}), gain4));
  expect("1331_sep", setup_filter(row({1, 3, 3, 1}), separable));
  expect("none", setup_filter({}));
  expect("scalar2", setup_filter(torch::tensor(2.0F)));
  expect("asym", setup_filter(row({1, 2, 4})));
  expect("asym_flip", setup_filter(row({1, 2, 4}), flip));
  expect("asym_nonorm", setup_filter(row({1, 2, 4}), raw));
  expect("tap8", setup_filter(row({1, 2, 3, 4, 5, 6, 7, 8})));
  expect("2d", setup_filter(row({1, 2, 0, 0, 3, 1}).reshape({2, 3})));
  expect("2d_flip_gain2", setup_filter(row({1, 2, 0, 0, 3, 1}).reshape({2, 3}), flip_gain2));
  expect("sym6",
         setup_filter(row({0.015404109327027373F, 0.0034907120842174702F, -0.11799011114819057F,
                           -0.048311742585633F, 0.4910559419267466F, 0.787641141030194F,
                           0.3379294217276218F, -0.07263752278646252F, -0.021060292512300564F,
                           0.04472490177066578F, 0.0017677118642428036F, -0.007800708325034148F})));
}

}  // namespace
}  // namespace stylescope
