#include "io/base/error.hpp"
#include "stages/ops/conv2d_resample.hpp"
#include "stages/ops/minibatch_stddev.hpp"
#include "stages/ops/modulated_conv2d.hpp"
#include "stages/ops/normalize.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/gradcheck.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

torch::Tensor channels_last(const torch::Tensor& x) {
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor stored(const std::string& key, torch::ScalarType type = torch::kFloat64) {
  return golden::load("ops").at(key).to(type).clone();
}

struct ConvCase {
  std::string name, weight;
  int64_t up = 1, down = 1;
  Padding pad;
  bool correlate = true;
};

const std::vector<ConvCase>& conv_cases() {
  static const auto one = Padding::all(1);
  static const std::vector<ConvCase> all = {
      {"k3", "w3", 1, 1, one},
      {"k3_noflipw", "w3", 1, 1, one, false},
      {"k3_up2", "w3", 2, 1, one, false},
      {"k3_up2_flipw", "w3", 2, 1, one},
      {"k3_down2", "w3", 1, 2, one},
      {"k1", "w1", 1, 1, {}},
      {"k1_up2", "w1", 2, 1, {}},
      {"k1_down2", "w1", 1, 2, {}},
      {"k3_up2_down2", "w3", 2, 2, one},
      {"k3_asympad", "w3", 1, 1, {2, 1, 0, 3}},
  };
  return all;
}

class Conv2dResample : public testing::TestWithParam<ConvCase> {};

TEST_P(Conv2dResample, MatchesGolden) {
  const auto& c = GetParam();
  for (const auto type : {torch::kFloat64, torch::kFloat32})
    for (const bool last : {false, true}) {
      auto x = stored("conv2d_resample/x", type);
      if (last) x = channels_last(x);
      const auto y = conv2d_resample(x, stored("conv2d_resample/" + c.weight, type),
                                     default_filter(), c.up, c.down, c.pad, c.correlate);
      golden::expect_equal("ops", "conv2d_resample/" + c.name + ".y", y,
                           type == torch::kFloat64 ? 1e-12 : 2e-6);
    }
}

// Against the definition: resample, convolve, resample, each by itself and in plain operations.
TEST_P(Conv2dResample, EqualsTheStepsOneByOne) {
  const auto& c = GetParam();
  const auto f = default_filter();
  auto x = golden::values("x", 1, {2, 4, 10, 6}).requires_grad_(true);
  const auto w = stored("conv2d_resample/" + c.weight).requires_grad_(true);
  const auto y = conv2d_resample(x, w, f, c.up, c.down, c.pad, c.correlate);
  auto pad = c.pad;
  if (c.up > 1) pad.x0 += 2, pad.x1 += 1, pad.y0 += 2, pad.y1 += 1;
  if (c.down > 1) pad.x0 += 1, pad.x1 += 1, pad.y0 += 1, pad.y1 += 1;
  auto z = c.up > 1 ? upfirdn2d_plain(x, f, c.up, 1, pad, false, 4)
                    : torch::constant_pad_nd(x, {pad.x0, pad.x1, pad.y0, pad.y1});
  z = torch::conv2d(z, c.correlate ? w : w.flip({2, 3}));
  if (c.down > 1) z = upfirdn2d_plain(z, f, 1, c.down);
  EXPECT_LT(golden::relative_error(y, z), 1e-12);
  const auto r = golden::values("r", 2, y.sizes());
  const auto a = torch::autograd::grad({(y * r).sum()}, {x, w}),
             b = torch::autograd::grad({(z * r).sum()}, {x, w});
  for (size_t i = 0; i < 2; ++i) EXPECT_LT(golden::relative_error(a[i], b[i]), 1e-12);
}

TEST_P(Conv2dResample, DerivativesAreExactToSecondOrder) {
  const auto& c = GetParam();
  const int64_t k = c.weight == "w3" ? 3 : 1;
  const auto f = [&](const auto& in) {
    return conv2d_resample(in[0], in[1], default_filter(), c.up, c.down, c.pad, c.correlate);
  };
  const std::vector<torch::Tensor> inputs = {channels_last(golden::values("x", 3, {1, 2, 4, 6})),
                                             golden::values("w", 3, {2, 2, k, k})};
  testing_support::expect_gradient(f, inputs);
  testing_support::expect_second_gradient(f, inputs, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Golden, Conv2dResample, testing::ValuesIn(conv_cases()),
                         [](const auto& info) { return info.param.name; });

struct ModulationCase {
  std::string name, noise;
  int64_t up = 1;
  bool demodulate = true;
};

class ModulatedConv2d : public testing::TestWithParam<ModulationCase> {};

TEST_P(ModulatedConv2d, MatchesGoldenValuesAndGradients) {
  const auto& c = GetParam();
  for (const auto type : {torch::kFloat64, torch::kFloat32})
    for (const bool last : {false, true}) {
      auto x = stored("conv2d_resample/x", type), w = stored("conv2d_resample/w3", type),
           s = stored("modconv/styles", type);
      if (last) x = channels_last(x);
      for (auto* t : {&x, &w, &s}) t->requires_grad_(true);
      const auto noise = c.noise.empty() ? torch::Tensor() : stored("modconv/" + c.noise, type);
      const auto y = modulated_conv2d(x, w, s, noise, c.up, default_filter(), c.demodulate);
      EXPECT_TRUE(y.is_contiguous(torch::MemoryFormat::ChannelsLast));
      const double bound = type == torch::kFloat64 ? 1e-12 : 4e-6;
      const std::string key = "modconv/" + c.name;
      golden::expect_equal("ops", key + ".y", y, bound);
      (y * golden::probe("modconv." + c.name, y.sizes()).to(type)).sum().backward();
      golden::expect_equal("ops", key + ".dx", x.grad(), bound);
      golden::expect_equal("ops", key + ".dw", w.grad(), bound);
      golden::expect_equal("ops", key + ".ds", s.grad(), bound);
    }
}

// The definition: every sample has a weight of its own.
TEST_P(ModulatedConv2d, EqualsAConvolutionPerSample) {
  const auto& c = GetParam();
  const auto x = golden::values("x", 4, {3, 4, 6, 10}), w = golden::values("w", 4, {5, 4, 3, 3}),
             s = golden::values("s", 4, {3, 4}, 1);
  const auto noise = golden::values("n", 4, {6 * c.up, 10 * c.up});
  const auto y = modulated_conv2d(x, w, s, noise, c.up, default_filter(), c.demodulate);
  for (int64_t n = 0; n < 3; ++n) {
    auto own = w * s[n].reshape({1, 4, 1, 1});
    if (c.demodulate) own = own / (own.square().sum({1, 2, 3}, true) + 1e-8).sqrt();
    auto z = x[n].unsqueeze(0);
    if (c.up == 2) z = upfirdn2d_plain(z, default_filter(), 2, 1, {3, 2, 3, 2}, false, 4);
    z = c.up == 2 ? torch::conv2d(z, own.flip({2, 3})) : torch::conv2d(z, own, {}, 1, {1, 1});
    EXPECT_LT(golden::relative_error(y[n], z[0] + noise), 1e-12);
  }
}

// Noise and styles keep the weights' type where features have a shorter one.
TEST_P(ModulatedConv2d, HasTheTypeOfItsInput) {
  const auto& c = GetParam();
  const auto x = golden::values("x", 4, {2, 4, 6, 10}).to(torch::kFloat32),
             w = golden::values("w", 4, {5, 4, 3, 3}).to(torch::kFloat32),
             s = golden::values("s", 4, {2, 4}, 1).to(torch::kFloat32),
             noise = golden::values("n", 4, {6 * c.up, 10 * c.up}).to(torch::kFloat32);
  const auto right = modulated_conv2d(x, w, s, noise, c.up, default_filter(), c.demodulate);
  const auto y =
      modulated_conv2d(x.to(torch::kBFloat16), w, s, noise, c.up, default_filter(), c.demodulate);
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  EXPECT_LT(golden::relative_error(y.to(torch::kFloat32), right), 0.03);
}

TEST_P(ModulatedConv2d, DerivativesAreExactToSecondOrder) {
  const auto& c = GetParam();
  const auto f = [&](const auto& in) {
    return modulated_conv2d(in[0], in[1], in[2], in[3], c.up, default_filter(), c.demodulate);
  };
  const std::vector<torch::Tensor> inputs = {
      golden::values("x", 5, {2, 2, 3, 2}), golden::values("w", 5, {2, 2, 3, 3}),
      golden::values("s", 5, {2, 2}, 1, 0.3), golden::values("n", 5, {3 * c.up, 2 * c.up})};
  testing_support::expect_gradient(f, inputs);
  testing_support::expect_second_gradient(f, inputs, 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Golden, ModulatedConv2d,
                         testing::Values(ModulationCase{"demod", "noise"},
                                         ModulationCase{"nodemod", "", 1, false},
                                         ModulationCase{"up2", "noise16", 2}),
                         [](const auto& info) { return info.param.name; });

TEST(MinibatchStddev, MatchesGolden) {
  const auto x = stored("mbstd/x");
  const auto appended = [&](int64_t group, int64_t channels) {
    return minibatch_stddev(x, group, channels).slice(1, 6);
  };
  golden::expect_equal("ops", "mbstd/g2_f1.y", appended(2, 1), 1e-12);
  golden::expect_equal("ops", "mbstd/g4_f1.y", appended(4, 1), 1e-12);
  golden::expect_equal("ops", "mbstd/g4_f2.y", appended(4, 2), 1e-12);
  golden::expect_equal("ops", "mbstd/g4_f3.y", appended(4, 3), 1e-12);
  golden::expect_equal("ops", "mbstd/gNone_f1.y", appended(99, 1), 1e-12);
  EXPECT_TRUE(torch::equal(minibatch_stddev(x, 4).slice(1, 0, 6), x));
  EXPECT_LT(
      golden::relative_error(minibatch_stddev(channels_last(x), 4, 2), minibatch_stddev(x, 4, 2)),
      1e-14);
}

TEST(MinibatchStddev, DerivativesAreExactToSecondOrder) {
  const auto f = [](const auto& in) { return minibatch_stddev(in[0], 2, 2); };
  testing_support::expect_gradient(f, {golden::values("x", 6, {4, 4, 2, 1})});
  testing_support::expect_second_gradient(f, {golden::values("x", 6, {4, 4, 2, 1})}, 1e-4);
}

TEST(MinibatchStddev, RefusesBatchesThatDoNotDivide) {
  EXPECT_THROW(minibatch_stddev(torch::zeros({6, 4, 2, 2}), 4), Error);
  EXPECT_THROW(minibatch_stddev(torch::zeros({4, 4, 2, 2}), 4, 3), Error);
}

TEST(NormalizeSecondMoment, MatchesGoldenAndDifferentiates) {
  golden::expect_equal("ops", "norm2/y", normalize_second_moment(stored("norm2/x")), 1e-12);
  const auto f = [](const auto& in) { return normalize_second_moment(in[0]); };
  testing_support::expect_gradient(f, {golden::values("x", 7, {2, 5})});
  testing_support::expect_second_gradient(f, {golden::values("x", 7, {2, 5})}, 1e-5);
}

}  // namespace
}  // namespace stylescope
