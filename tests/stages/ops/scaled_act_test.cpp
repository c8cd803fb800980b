#include "stages/ops/scaled_act.hpp"

#include "tests/support/golden.hpp"
#include "tests/support/gradcheck.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

using Tensors = std::vector<torch::Tensor>;
using testing_support::expect_gradient;
using testing_support::expect_second_gradient;

torch::Tensor channels_last(const torch::Tensor& x) {
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

// The formula, an operation at a time. in: x, scale, strength, bias.
torch::Tensor plain(const Tensors& in, const torch::Tensor& noise, double clamp) {
  auto y = in[0] * in[1].reshape({in[0].size(0), -1, 1, 1});
  if (noise.defined()) y = y + noise * in[2];
  y = torch::leaky_relu(y + in[3].reshape({1, -1, 1, 1}), 0.2) * std::sqrt(2.0);
  return clamp > 0 ? y.clamp(-clamp, clamp) : y;
}

torch::Tensor ours(const Tensors& in, const torch::Tensor& noise, double clamp) {
  return scaled_act(in[0], in[1], {noise, in[2]}, in[3], clamp);
}

Tensors inputs(int64_t n, int64_t c, int64_t h, int64_t w, torch::Dtype type = torch::kFloat64) {
  return {channels_last(golden::values("x", 1, {n, c, h, w})).to(type),
          golden::values("scale", 2, {n, c}, 1, 0.3).to(type), torch::full({}, 0.6, type),
          golden::values("bias", 3, {c}).to(type)};
}

std::vector<torch::Tensor> noises(int64_t n, int64_t h, int64_t w) {
  return {{}, golden::values("shared", 4, {h, w}), golden::values("own", 5, {n, 1, h, w})};
}

Tensors derivatives(const torch::Tensor& y, const Tensors& in) {
  auto found = torch::autograd::grad({y}, in, {golden::values("g", 6, y.sizes()).to(y.dtype())},
                                     true, false, true);
  for (size_t i = 0; i < in.size(); ++i)
    if (!found[i].defined()) found[i] = torch::zeros_like(in[i]);
  found.push_back(y.detach());
  return found;
}

Tensors leaves(const Tensors& in) {
  Tensors found;
  for (const auto& t : in) found.push_back(t.detach().requires_grad_(true));
  return found;
}

TEST(ScaledAct, IsItsFormulaWithFirstDerivatives) {
  struct Size {
    int64_t n, c, h, w;
  };
  for (const auto& s : {Size{2, 3, 4, 5}, Size{3, 16, 8, 8}, Size{1, 20, 33, 17}, Size{2, 1, 3, 3}})
    for (const auto& noise : noises(s.n, s.h, s.w))
      for (const double clamp : {0.0, 0.8}) {
        const auto in = leaves(inputs(s.n, s.c, s.h, s.w));
        const auto found = derivatives(ours(in, noise, clamp), in);
        const auto right = derivatives(plain(in, noise, clamp), in);
        for (size_t i = 0; i < found.size(); ++i)
          EXPECT_LT(golden::relative_error(found[i], right[i], 1e-12), 1e-12)
              << i << " of " << s.c << " channels, clamp " << clamp;
      }
}

TEST(ScaledAct, HasTwoDerivatives) {
  for (const auto& noise : noises(2, 2, 3))
    for (const double clamp : {0.0, 1.1}) {
      const auto f = [&](const Tensors& in) { return ours(in, noise, clamp); };
      expect_gradient(f, inputs(2, 3, 2, 3));
      expect_second_gradient(f, inputs(2, 3, 2, 3));
    }
}

TEST(ScaledAct, TakesOtherLayouts) {
  auto in = inputs(2, 16, 4, 4);
  const auto noise = golden::values("own", 5, {2, 1, 4, 4});
  const auto right = ours(in, noise, 0);
  in[0] = in[0].contiguous();
  EXPECT_LT(golden::relative_error(ours(in, noise, 0), right), 1e-13);
}

// bfloat16 has 8 bits: an image is rounded once, the rest is computed in float32.
TEST(ScaledAct, ComputesBfloat16InFloat) {
  const auto noise = golden::values("shared", 4, {8, 8}).to(torch::kFloat32);
  auto in = leaves(inputs(2, 16, 8, 8, torch::kFloat32));
  auto half = in;
  half[0] = in[0].detach().to(torch::kBFloat16).requires_grad_(true);
  in[0] = half[0].detach().to(torch::kFloat32).requires_grad_(true);  // the same numbers
  const auto y = ours(half, noise, 1.5);
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  const auto found = derivatives(y, half), right = derivatives(ours(in, noise, 1.5), in);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].scalar_type(), i == 0 || i == 4 ? torch::kBFloat16 : torch::kFloat32) << i;
    EXPECT_LT(golden::relative_error(found[i].to(torch::kFloat32), right[i]), 0.01) << i;
  }
}

// The gradient reads from the rounded output whether the clamp had bitten, also where the clamp is
// no bfloat16 number.
TEST(ScaledAct, OfBfloat16KnowsItsClampAgain) {
  for (const double clamp : {1.003, 1.2345, 1.24})
    for (const bool twice : {false, true}) {
      auto in = inputs(2, 16, 8, 8, torch::kFloat32);
      in[0] = in[0].to(torch::kBFloat16);
      in = leaves(in);
      const auto y = ours(in, {}, clamp);
      const auto dx = torch::autograd::grad({y}, {in[0]}, {torch::ones_like(y)}, true,
                                            /*create_graph=*/twice)[0];
      const auto clamped = plain(in, {}, 0).abs() > clamp;
      ASSERT_GT(clamped.sum().item<int64_t>(), 50);
      EXPECT_EQ(dx.masked_select(clamped).abs().max().item<float>(), 0) << clamp;
      EXPECT_EQ(y.abs().max().item<float>(),
                torch::tensor(clamp).to(torch::kBFloat16).item<float>());
    }
}

TEST(ScaledAct, DoesNotDependOnThreads) {
  const auto in = leaves(inputs(2, 24, 40, 40, torch::kFloat32));
  const auto noise = golden::values("own", 5, {2, 1, 40, 40}).to(torch::kFloat32);
  const auto results = [&](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    const auto found = derivatives(ours(in, noise, 0), in);
    at::set_num_threads(before);
    return found;
  };
  const auto one = results(1), three = results(3);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(torch::equal(one[i], three[i])) << i;
}

TEST(ScaleChannels, IsAProductWithTwoDerivatives) {
  const auto f = [](const Tensors& in) { return scale_channels(in[0], in[1]); };
  auto in = inputs(2, 5, 3, 4);
  in.resize(2);
  EXPECT_TRUE(torch::equal(f(in), in[0] * in[1].reshape({2, 5, 1, 1})));
  expect_gradient(f, in);
  expect_second_gradient(f, in);
}

}  // namespace
}  // namespace stylescope
