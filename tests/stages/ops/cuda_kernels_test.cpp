#include "stages/ops/cuda_kernels.hpp"

#include "io/base/error.hpp"
#include "stages/ops/bias_act.hpp"
#include "tests/support/golden.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace stylescope::detail {
namespace {

// The kernels' own per-element code in a loop on the CPU, in place of the GPU's threads.
template <class Body>
void with_type(ElementType type, const Body& body) {
  switch (type) {
    case ElementType::float32:
      return body(float{});
    case ElementType::float64:
      return body(double{});
    case ElementType::float16:
      return body(at::Half{});
    case ElementType::bfloat16:
      return body(at::BFloat16{});
  }
}

template <class T, class Index>
void upfirdn2d_loop(const UpfirdnLaunch& l) {
  const int64_t count = l.shape.batch * l.shape.channels * l.shape.x.out * l.shape.y.out;
  for (int64_t i = 0; i < count; ++i)
    static_cast<T*>(l.y)[i] = upfirdn2d_element<T, Index>(
        static_cast<const T*>(l.x), static_cast<const Accumulate<T>*>(l.filter), l.shape,
        static_cast<Index>(i));
}

int upfirdn2d_on_host(const UpfirdnLaunch& l, void* stream) {
  EXPECT_EQ(stream, nullptr);
  EXPECT_TRUE(l.small);
  with_type(l.type, [&](auto zero) { upfirdn2d_loop<decltype(zero), int32_t>(l); });
  return 0;
}
int upfirdn2d_by_long_index(const UpfirdnLaunch& l, void*) {
  with_type(l.type, [&](auto zero) { upfirdn2d_loop<decltype(zero), int64_t>(l); });
  return 0;
}

int bias_act_on_host(const BiasActLaunch& l, void*) {
  with_type(l.type, [&](auto zero) {
    using T = decltype(zero);
    for (int32_t i = 0; i < l.shape.count; ++i)
      static_cast<T*>(l.y)[i] = bias_act_element<T, int32_t>(
          static_cast<const T*>(l.x), static_cast<const T*>(l.bias), l.shape, l.constants, i);
  });
  return 0;
}

int bias_act_gradient_on_host(const BiasActGradientLaunch& l, void*) {
  with_type(l.type, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < l.count; ++i)
      static_cast<T*>(l.out)[i] = bias_act_gradient_element<T, int64_t>(
          static_cast<const T*>(l.gradient), static_cast<const T*>(l.y), l.constants, i);
  });
  return 0;
}

const char* text_of(int error) { return error == 209 ? "no kernel image" : "?"; }

KernelTable host_table() {
  return {upfirdn2d_on_host, bias_act_on_host, bias_act_gradient_on_host, text_of};
}

constexpr torch::ScalarType kTypes[] = {torch::kFloat64, torch::kFloat32, torch::kFloat16,
                                        torch::kBFloat16};

// Of the largest value, for results that are rounded once or twice.
double bound(torch::ScalarType type) {
  if (type == torch::kFloat64) return 1e-13;
  if (type == torch::kFloat32) return 2e-6;
  return type == torch::kFloat16 ? 1e-3 : 8e-3;
}

torch::Tensor channels_last(const torch::Tensor& x) {
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor as_double(const torch::Tensor& x) { return x.to(torch::kFloat64); }

struct Case {
  const char* filter;
  UpfirdnArguments arguments;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"1331", {1, 1, {}, false}},
      {"1331", {2, 1, {2, 1, 2, 1}, false}},
      {"1331", {1, 2, {1, 1, 1, 1}, false}},
      {"asym", {{2, 3}, {1, 2}, {3, -1, 2, 0}, false}},
      {"asym", {{3, 1}, {2, 1}, {-1, 4, 3, 1}, true}},
      {"2d", {2, 2, {2, 2, 1, 3}, true}},
      {"sym6", {2, 1, {6, 5, 6, 5}, false}},
      {"1331_sep", {{1, 2}, {2, 1}, {2, 1, 2, 1}, false}},
      {"tap8", {1, 1, {4, 3, -1, 8}, true}},
      {"1331", {4, 3, {4, 5, 6, 7}, false}},
      {"2d", {5, 7, {9, 9, 8, 8}, false}},
  };
  return all;
}

TEST(CudaElements, Upfirdn2dEqualsPlainOperations) {
  const auto table = host_table();
  auto other = table;
  other.upfirdn2d = upfirdn2d_by_long_index;
  for (const auto& c : cases())
    for (const auto& shape :
         std::vector<std::vector<int64_t>>{{2, 5, 11, 6}, {1, 1, 9, 13}, {3, 4, 8, 8}})
      for (const auto type : kTypes) {
        const auto& a = c.arguments;
        const auto filter = golden::load("ops").at(std::string("setup_filter/") + c.filter);
        const auto x = golden::values("x", 2, shape).to(type);
        const auto expected = upfirdn2d_plain(as_double(x), filter, a.up, a.down, a.pad, a.flip);
        const auto y = upfirdn2d_by(table, x, filter, a);
        ASSERT_EQ(y.scalar_type(), type);
        EXPECT_LT(golden::relative_error(as_double(y), expected), bound(type))
            << c.filter << " " << type;
        const auto last = upfirdn2d_by(table, channels_last(x), filter, a);
        EXPECT_TRUE(torch::equal(y, last)) << "the layout changes the result";
        EXPECT_TRUE(last.is_contiguous(torch::MemoryFormat::ChannelsLast));
        EXPECT_TRUE(torch::equal(y, upfirdn2d_by(other, x, filter, a)));
      }
}

TEST(CudaElements, Upfirdn2dTakesViewsAndExpandedTensors) {
  const auto table = host_table();
  const auto whole = golden::values("x", 5, {2, 3, 8, 12});
  const auto f = default_filter();
  const UpfirdnArguments a{2, 1, {2, 1, 2, 1}, false};
  for (const auto& view :
       {whole.slice(3, 1, 11, 2), whole.slice(2, 3), whole.flip(3).transpose(2, 3),
        torch::ones({1}, torch::kFloat64).expand({2, 3, 6, 5})})
    EXPECT_LT(
        golden::relative_error(upfirdn2d_by(table, view, f, a),
                               upfirdn2d_plain(view.contiguous(), f, a.up, a.down, a.pad, a.flip)),
        1e-14);
}

// In the types that the CPU has passes for: the same arithmetic, hence the same bits.
TEST(CudaElements, BiasActEqualsTheCpuPasses) {
  const auto table = host_table();
  const BiasActArguments arguments[] = {{0.2, 1.4, 0}, {0.2, 1.4, 0.9}, {1, 3, 1.1}};
  const std::vector<std::vector<int64_t>> shapes = {{3, 37, 5, 7}, {9, 5}, {2, 3, 4}, {0, 3, 2, 2}};
  for (const auto type : {torch::kFloat64, torch::kFloat32})
    for (const auto& shape : shapes)
      for (const auto& a : arguments)
        for (const bool last : {false, true}) {
          auto x = golden::values("x", 3, shape).to(type),
               g = golden::values("g", 4, shape).to(type);
          if (last && x.dim() == 4) x = channels_last(x);
          for (const auto& b : {golden::values("b", 3, {shape[1]}).to(type), torch::Tensor()}) {
            const auto y = bias_act_cpu(x, b, a);
            EXPECT_TRUE(torch::equal(bias_act_by(table, x, b, a), y)) << x.sizes();
            EXPECT_TRUE(
                torch::equal(bias_act_gradient_by(table, g, y, a), bias_act_gradient_cpu(g, y, a)));
          }
        }
}

// The gradient reads from the rounded output whether the clamp had bitten.
TEST(CudaElements, BiasActOfShortTypesRoundsOnceAndKnowsItsClampAgain) {
  const auto table = host_table();
  for (const auto type : {torch::kFloat16, torch::kBFloat16})
    for (const double clamp : {0.0, 1.2345, 1.003}) {
      const BiasActArguments a{0.2, 1.4142, clamp};
      const auto x = golden::values("x", 3, {3, 7, 5, 4}).to(type),
                 b = golden::values("b", 3, {7}).to(type);
      auto expected =
          torch::leaky_relu(as_double(x) + as_double(b).reshape({1, 7, 1, 1}), a.slope) * a.gain;
      if (clamp > 0) expected = expected.clamp(-clamp, clamp);
      const auto y = bias_act_by(table, x, b, a);
      EXPECT_LT(golden::relative_error(as_double(y), expected), bound(type));
      if (clamp == 0) continue;
      const auto dx = bias_act_gradient_by(table, torch::ones_like(y), y, a);
      const auto clamped = expected.abs() >= clamp;
      ASSERT_GT(clamped.sum().item<int64_t>(), 50);
      EXPECT_EQ(as_double(dx).masked_select(clamped).abs().max().item<double>(), 0.0);
    }
}

TEST(CudaElements, LetNanThroughAndKeepInfinityUnlessClamped) {
  const auto table = host_table();
  const auto x = torch::tensor({{std::nanf(""), INFINITY, -INFINITY}});
  const auto free = bias_act_by(table, x, {}, {0.2, 1, 0}),
             bound = bias_act_by(table, x, {}, {0.2, 1, 4});
  EXPECT_TRUE(std::isnan(free[0][0].item<float>()) && std::isnan(bound[0][0].item<float>()));
  EXPECT_EQ(free[0][1].item<float>(), INFINITY);
  EXPECT_EQ(bound[0][1].item<float>(), 4.0F);
  EXPECT_EQ(bound[0][2].item<float>(), -4.0F);
}

bool usable(const KernelApproval& approval, CudaKernel kernel, torch::ScalarType type) {
  return approval.usable[static_cast<size_t>(kernel)][static_cast<size_t>(element_type(type))];
}

TEST(CudaApproval, ApprovesRightKernels) {
  const auto table = host_table();
  const auto approval = approve_kernels(&table, torch::kCPU);
  for (const auto& warning : approval.warnings) ADD_FAILURE() << warning;
  for (const auto type : kTypes) {
    EXPECT_TRUE(usable(approval, CudaKernel::upfirdn2d, type)) << type;
    EXPECT_TRUE(usable(approval, CudaKernel::bias_act, type)) << type;
  }
}

// The first image may be made where no gradients are wanted.
TEST(CudaApproval, ApprovesRightKernelsWithoutGradients) {
  const torch::NoGradGuard no_grad;
  const auto table = host_table();
  EXPECT_TRUE(approve_kernels(&table, torch::kCPU).warnings.empty());
}

TEST(CudaApproval, RefusesAWrongKernelInTheOneTypeAndNamesIt) {
  auto table = host_table();
  table.upfirdn2d = [](const UpfirdnLaunch& l, void* stream) {
    auto wrong = l;
    if (l.type == ElementType::float16) wrong.shape.flip = !l.shape.flip;
    return upfirdn2d_on_host(wrong, stream);
  };
  const auto approval = approve_kernels(&table, torch::kCPU);
  ASSERT_EQ(approval.warnings.size(), 1U);
  EXPECT_NE(approval.warnings[0].find("upfirdn2d for Half"), std::string::npos)
      << approval.warnings[0];
  for (const auto type : kTypes) {
    EXPECT_EQ(usable(approval, CudaKernel::upfirdn2d, type), type != torch::kFloat16);
    EXPECT_TRUE(usable(approval, CudaKernel::bias_act, type));
  }
}

TEST(CudaApproval, RefusesAWrongGradientAndNotANumber) {
  auto table = host_table();
  table.bias_act_gradient = [](const BiasActGradientLaunch& l, void* stream) {
    auto wrong = l;
    wrong.constants.clamp = 0;
    return bias_act_gradient_on_host(wrong, stream);
  };
  EXPECT_EQ(approve_kernels(&table, torch::kCPU).warnings.size(), 4U);
  table = host_table();
  table.bias_act = [](const BiasActLaunch& l, void* stream) {
    auto wrong = l;
    wrong.constants.gain = std::nan("");
    return bias_act_on_host(wrong, stream);
  };
  EXPECT_EQ(approve_kernels(&table, torch::kCPU).warnings.size(), 4U);
}

TEST(CudaApproval, SaysWhyAKernelDoesNotStartAndWhenThereAreNone) {
  auto table = host_table();
  table.bias_act = [](const BiasActLaunch&, void*) { return 209; };
  const auto approval = approve_kernels(&table, torch::kCPU);
  ASSERT_EQ(approval.warnings.size(), 4U);
  EXPECT_NE(approval.warnings[0].find("no kernel image"), std::string::npos);
  EXPECT_TRUE(usable(approval, CudaKernel::upfirdn2d, torch::kFloat32));
  const auto none = approve_kernels(nullptr, torch::kCPU);
  ASSERT_EQ(none.warnings.size(), 1U);
  EXPECT_FALSE(usable(none, CudaKernel::upfirdn2d, torch::kFloat32));
  EXPECT_THROW(bias_act_by(table, torch::zeros({1, 1}), {}, {}), TransientError);
}

TEST(CudaApproval, AsksNothingOfOtherDevices) {
  EXPECT_TRUE(cuda_kernel_warnings(torch::kCPU).empty());
  EXPECT_FALSE(cuda_kernel_usable(CudaKernel::bias_act, torch::zeros({1})));
}

TEST(CudaDevice, ItsKernelsAreApproved) {
  if (!torch::cuda::is_available())
    GTEST_SKIP() << "no GPU here: the kernels are compiled, not run";
  if (!cuda_kernel_table()) GTEST_SKIP() << "no nvcc when this was built: there are no kernels";
  for (const auto& warning : cuda_kernel_warnings(torch::kCUDA)) ADD_FAILURE() << warning;
  const auto x = golden::values("x", 1, {2, 3, 9, 8}).to(torch::kFloat32);
  EXPECT_TRUE(cuda_kernel_usable(CudaKernel::upfirdn2d, x.cuda()));
  const auto y = upsample2d(x.cuda(), default_filter().cuda());
  EXPECT_LT(golden::relative_error(y.cpu(), upsample2d(x, default_filter())), 1e-6);
}

}  // namespace
}  // namespace stylescope::detail
