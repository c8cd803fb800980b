#include "io/base/error.hpp"
#include "stages/ops/bias_act.hpp"
#include "stages/ops/cuda_kernels.hpp"
#include "stages/ops/upfirdn2d.hpp"

#include <algorithm>
#include <functional>

#include <torch/torch.h>

// A kernel that was compiled for this GPU but never ran on one may be wrong, and so may a driver or
// a compiler: nothing is trained with it before it has shown the right figures.
namespace stylescope::detail {
namespace {

constexpr torch::ScalarType kTypes[] = {torch::kFloat32, torch::kFloat64, torch::kFloat16,
                                        torch::kBFloat16};

// Of the largest value: sums of a few products, rounded to the type once, twice for two passes.
double tolerance(torch::ScalarType type) {
  switch (type) {
    case torch::kFloat64:
      return 1e-14;
    case torch::kFloat16:
      return 2e-3;
    case torch::kBFloat16:
      return 1.6e-2;
    default:
      return 1e-6;
  }
}

// Multiples of 1/8 in [-2, 2), mixed; exact in every type, so that no value changes its side of a
// kink by rounding. float64 on the CPU.
torch::Tensor eighths(at::IntArrayRef shape, int64_t seed) {
  const auto count = c10::multiply_integers(shape);
  const auto i = torch::arange(count, torch::kInt64) + seed;
  return ((i * 7919 + i * i * 31) % 32 - 16).to(torch::kFloat64).div(8).reshape(shape);
}

// Where a kernel works, and how a tensor gets there.
struct Place {
  const KernelTable& table;
  torch::Device device;
  torch::ScalarType type;
  torch::MemoryFormat layout;

  torch::Tensor of(const torch::Tensor& x) const {
    const auto moved = x.detach().to(device, type);
    return x.dim() == 4 ? moved.contiguous(layout) : moved;
  }
};

void expect_equal(const torch::Tensor& actual, const torch::Tensor& expected,
                  torch::ScalarType type, const char* what) {
  const auto there = actual.detach().to(torch::kCPU, torch::kFloat64);
  validate(there.sizes() == expected.sizes(), what, " have the shape ", there.sizes(),
           " instead of ", expected.sizes());
  const double largest = expected.abs().max().item<double>();
  const double error = (there - expected).abs().max().item<double>();
  // Not "error > ...": NaN must fail.
  validate(error <= tolerance(type) * std::max(largest, 1.0), what, " differ by ", error, " of ",
           largest);
}

void compare_upfirdn2d(const Place& at) {
  struct Case {
    torch::Tensor filter;
    UpfirdnArguments arguments;
  };
  const auto row = [](std::vector<double> taps) { return torch::tensor(taps, torch::kFloat64); };
  const auto square = setup_filter(row({1, 3, 3, 1}));
  const auto skew = torch::outer(row({0.5, -1, 0.25}), row({1, 0.5})) + 0.125;
  const Case cases[] = {
      {square, {2, 1, {2, 1, 2, 1}, false}},
      {square, {1, 2, {1, 1, 1, 1}, false}},
      {skew, {{2, 3}, {3, 1}, {3, -1, 2, 4}, true}},
      {row({0.25, 0.5, -0.125}), {1, {1, 2}, {-1, 2, 1, 1}, false}},
  };
  for (const auto& c : cases) {
    const auto& a = c.arguments;
    const auto x = eighths({2, 3, 9, 7}, 1).requires_grad_(true);
    const auto y = upfirdn2d_plain(x, c.filter, a.up, a.down, a.pad, a.flip);
    expect_equal(upfirdn2d_by(at.table, at.of(x), c.filter, a), y.detach(), at.type, "values");
    const auto g = eighths(y.sizes(), 5);
    const auto dx = torch::autograd::grad({y}, {x}, {g})[0];
    const auto back = upfirdn_adjoint(a, c.filter, {x.size(2), x.size(3)}, {y.size(2), y.size(3)});
    expect_equal(upfirdn2d_by(at.table, at.of(g), c.filter, back), dx, at.type, "gradients");
  }
}

void compare_bias_act(const Place& at) {
  // Gains, slopes and the clamp are such that everything is exact and nothing lies on the clamp.
  const BiasActArguments cases[] = {{0.25, 2, 0}, {0.25, 0.5, 0.71875}, {1, 2, 1.40625}};
  for (const auto& shape : std::vector<std::vector<int64_t>>{{2, 5, 3, 7}, {4, 6}}) {
    const auto b = eighths({shape[1]}, 3);
    for (const auto& a : cases) {
      const auto x = eighths(shape, 1).requires_grad_(true);
      std::vector<int64_t> along(shape.size(), 1);
      along[1] = shape[1];
      auto y = torch::leaky_relu(x + b.reshape(along), a.slope) * a.gain;
      if (a.clamp > 0) y = y.clamp(-a.clamp, a.clamp);
      const auto mine = bias_act_by(at.table, at.of(x), at.of(b), a);
      expect_equal(mine, y.detach(), at.type, "values");
      const auto g = eighths(shape, 5);
      const auto dx = torch::autograd::grad({y}, {x}, {g})[0];
      expect_equal(bias_act_gradient_by(at.table, at.of(g), mine, a), dx, at.type, "gradients");
    }
  }
}

}  // namespace

KernelApproval approve_kernels(const KernelTable* table, torch::Device device) {
  const torch::AutoGradMode grad(true);  // may be asked for in a NoGradGuard
  KernelApproval approval;
  if (!table) {
    approval.warnings.push_back(
        "this program has no CUDA kernels of its own (there was no nvcc when it was built): the "
        "slower operations of LibTorch are used; './run libtorch' installs nvcc, then build again");
    return approval;
  }
  const struct {
    CudaKernel kernel;
    const char* name;
    void (*compare)(const Place&);
  } kernels[] = {{CudaKernel::upfirdn2d, "upfirdn2d", compare_upfirdn2d},
                 {CudaKernel::bias_act, "bias_act", compare_bias_act}};
  for (const auto& [kernel, name, compare] : kernels)
    for (const auto type : kTypes) {
      auto& usable =
          approval.usable[static_cast<size_t>(kernel)][static_cast<size_t>(element_type(type))];
      try {
        for (const auto layout :
             {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast})
          compare(Place{*table, device, type, layout});
        usable = true;
      } catch (const std::exception& error) {
        approval.warnings.push_back(concatenate(
            "the CUDA kernel of ", name, " for ", torch::toString(type), " is not used on ", device,
            " (", error.what(), "); LibTorch's operations are used, which are slower"));
      }
    }
  return approval;
}

}  // namespace stylescope::detail
