#include "stages/ops/bias_act.hpp"

#include "tests/support/golden.hpp"
#include "tests/support/gradcheck.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope {
namespace {

struct Case {
  std::string name;
  Activation act;
  double gain = -1, clamp = -1, alpha = 0.2;
};

// The arguments of every golden case: three of each activation, and two more of lrelu.
std::vector<Case> cases() {
  const auto number = [](size_t i) { return std::string(i < 10 ? "0" : "") + std::to_string(i); };
  std::vector<Case> all;
  const auto add = [&](Activation act) {
    all.push_back({number(all.size()), act});
    all.push_back({number(all.size()), act, 1.7});
    all.push_back({number(all.size()), act, -1, 1.0});
  };
  add(Activation::linear);
  add(Activation::relu);
  add(Activation::lrelu);
  all.push_back({"09", Activation::lrelu, 2.0, 1.5, 0.1});
  all.push_back({"10", Activation::lrelu, 1.0000000000000002, 181.01933598375618});
  for (const auto act : {Activation::tanh, Activation::sigmoid, Activation::elu, Activation::selu,
                         Activation::softplus, Activation::swish})
    add(act);
  return all;
}

torch::Tensor apply(const Case& c, const torch::Tensor& x, const torch::Tensor& b) {
  return bias_act(x, b, c.act, c.gain, c.clamp, c.alpha);
}

torch::Tensor channels_last(const torch::Tensor& x) {
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

class BiasAct : public testing::TestWithParam<Case> {};

void expect_golden(const Case& c, torch::ScalarType type, bool last, double bound) {
  const auto& data = golden::load("ops");
  auto x = data.at("bias_act/x").to(type).clone();
  if (last) x = channels_last(x);
  x.requires_grad_(true);
  auto b = data.at("bias_act/b").to(type).clone().requires_grad_(true);
  const auto y = apply(c, x, b);
  EXPECT_EQ(y.scalar_type(), type);
  EXPECT_EQ(y.suggest_memory_format(), x.suggest_memory_format());
  golden::expect_equal("ops", "bias_act/" + c.name + ".y", y, bound);
  (y * golden::probe("bias_act", y.sizes()).to(type)).sum().backward();
  golden::expect_equal("ops", "bias_act/" + c.name + ".dx", x.grad(), bound);
  golden::expect_equal("ops", "bias_act/" + c.name + ".db", b.grad(), bound);
}

TEST_P(BiasAct, MatchesGolden) {
  for (const bool last : {false, true}) expect_golden(GetParam(), torch::kFloat64, last, 1e-12);
}

TEST_P(BiasAct, MatchesGoldenInSinglePrecision) {
  for (const bool last : {false, true}) expect_golden(GetParam(), torch::kFloat32, last, 2e-6);
}

TEST_P(BiasAct, DerivativesAreExactToSecondOrder) {
  const auto& c = GetParam();
  const auto b = golden::values("b", 1, {3});
  for (const auto& x :
       {golden::values("x", 1, {2, 3, 2, 3}), channels_last(golden::values("x", 1, {2, 3, 2, 3})),
        golden::values("x", 2, {4, 3})}) {
    testing_support::expect_gradient([&](const auto& in) { return apply(c, in[0], in[1]); },
                                     {x, b});
    // Squared: the second derivative of a piecewise linear function would not pass through its
    // backward.
    testing_support::expect_second_gradient(
        [&](const auto& in) { return apply(c, in[0], in[1]).square(); }, {x, b}, 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, BiasAct, testing::ValuesIn(cases()),
                         [](const auto& info) { return "c" + info.param.name; });

TEST(BiasActResult, IsTheSameInEveryLayoutAndWithoutBias) {
  const auto x = golden::values("x", 3, {3, 37, 5, 7}).to(torch::kFloat32);
  const auto b = golden::values("b", 3, {37}).to(torch::kFloat32);
  for (const auto act : {Activation::linear, Activation::lrelu}) {
    const auto shifted = x + b.reshape({1, -1, 1, 1});
    auto expected = act == Activation::lrelu ? torch::leaky_relu(shifted, 0.2) : shifted;
    expected = (expected * 1.5).clamp(-1, 1);
    for (const auto& in :
         {x, channels_last(x), x.permute({0, 1, 3, 2}).contiguous().permute({0, 1, 3, 2})})
      EXPECT_LT(golden::relative_error(bias_act(in, b, act, 1.5, 1), expected), 1e-6);
    EXPECT_TRUE(torch::equal(bias_act(shifted, {}, act, 1.5, 1), bias_act(x, b, act, 1.5, 1)));
    EXPECT_TRUE(torch::equal(bias_act(channels_last(shifted), {}, act, 1.5, 1),
                             bias_act(x, b, act, 1.5, 1)));
  }
}

TEST(BiasActResult, LetsNanThroughAndKeepsInfinityUnlessClamped) {
  const auto x = torch::tensor({{std::nanf(""), INFINITY, -INFINITY}});
  const auto free = bias_act(x, {}, Activation::lrelu),
             bound = bias_act(x, {}, Activation::lrelu, -1, 4);
  EXPECT_TRUE(std::isnan(free[0][0].item<float>()) && std::isnan(bound[0][0].item<float>()));
  EXPECT_EQ(free[0][1].item<float>(), INFINITY);
  EXPECT_EQ(bound[0][1].item<float>(), 4.0F);
  EXPECT_EQ(bound[0][2].item<float>(), -4.0F);
}

// The gradient reads from the rounded output whether the clamp had bitten, also where the clamp is
// no bfloat16 number.
TEST(BiasActOfBfloat16, KnowsItsClampAgain) {
  const auto b = golden::values("b", 3, {7}).to(torch::kBFloat16);
  for (const double clamp : {1.003, 1.2345, 1.24})
    for (const bool last : {false, true})
      for (const bool twice : {false, true}) {
        auto x = golden::values("x", 3, {3, 7, 5, 4}).to(torch::kBFloat16);
        if (last) x = channels_last(x);
        x.requires_grad_(true);
        const auto y = bias_act(x, b, Activation::lrelu, 1.4142, clamp);
        const auto dx = torch::autograd::grad({y}, {x}, {torch::ones_like(y)}, true,
                                              /*create_graph=*/twice)[0];
        const auto sum = x.to(torch::kFloat64) + b.to(torch::kFloat64).reshape({1, 7, 1, 1});
        const auto clamped = torch::leaky_relu(sum, 0.2).mul(1.4142).abs() > clamp;
        ASSERT_GT(clamped.sum().item<int64_t>(), 50);
        EXPECT_EQ(dx.masked_select(clamped).abs().max().item<float>(), 0) << clamp;
      }
}

}  // namespace
}  // namespace stylescope
