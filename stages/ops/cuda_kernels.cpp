#include "stages/ops/cuda_kernels.hpp"

#include "io/base/error.hpp"

#include <map>
#include <mutex>

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/torch.h>

namespace stylescope {
namespace detail {
namespace {

// The current device is x's while this lives, as a kernel's launch wants it.
class Launching {
 public:
  explicit Launching(const torch::Tensor& x) : guard_(x.device()) {
    if (x.is_cuda())
      stream_ = c10::impl::VirtualGuardImpl(torch::kCUDA).getStream(x.device()).native_handle();
  }
  void* stream() const { return stream_; }

 private:
  c10::DeviceGuard guard_;
  void* stream_ = nullptr;
};

void check(const KernelTable& table, int error, const char* kernel) {
  if (error != 0)
    throw TransientError(
        concatenate("the CUDA kernel of ", kernel, " did not start: ", table.error_text(error)));
}

// Whether offsets into both fit in half of int32_t.
bool small(const torch::Tensor& x, const torch::Tensor& y) {
  int64_t last = 0;
  for (int64_t d = 0; d < x.dim(); ++d) last += (x.size(d) - 1) * x.stride(d);
  return std::max(last, y.numel()) < (int64_t{1} << 30);
}

// One pass with the matrix of taps `filter`, in the accumulating type on x's device.
torch::Tensor pass(const KernelTable& table, const torch::Tensor& x, const torch::Tensor& filter,
                   const UpfirdnArguments& a) {
  const auto size = upfirdn_size(x, filter, a);
  const auto layout = x.suggest_memory_format();
  auto y = torch::empty({x.size(0), x.size(1), size.height, size.width},
                        x.options().requires_grad(false), layout);
  const UpfirdnAxis horizontal{x.size(3), size.width, a.up.x, a.down.x, a.pad.x0, filter.size(1)},
      vertical{x.size(2), size.height, a.up.y, a.down.y, a.pad.y0, filter.size(0)};
  const UpfirdnShape shape{x.size(0),   x.size(1),   horizontal,
                           vertical,    x.stride(0), x.stride(1),
                           x.stride(2), x.stride(3), layout == torch::MemoryFormat::ChannelsLast,
                           a.flip};
  const Launching on(x);
  check(table,
        table.upfirdn2d({element_type(x.scalar_type()), x.const_data_ptr(), filter.const_data_ptr(),
                         y.mutable_data_ptr(), shape, small(x, y)},
                        on.stream()),
        "upfirdn2d");
  return y;
}

BiasActConstants constants(const BiasActArguments& a) { return {a.slope, a.gain, a.clamp}; }

struct Approvals {
  std::mutex mutex;
  std::map<int, KernelApproval> by_device;
};

const KernelApproval& approval_of(torch::Device device) {
  static Approvals approvals;  // what a device can do does not change while the program runs
  const std::lock_guard lock(approvals.mutex);
  const auto index = static_cast<int>(device.index());
  const auto found = approvals.by_device.find(index);
  if (found != approvals.by_device.end()) return found->second;
  return approvals.by_device.emplace(index, approve_kernels(cuda_kernel_table(), device))
      .first->second;
}

// With a number: "cuda" alone means the current one.
torch::Device numbered(torch::Device device) {
  return device.has_index() ? device : c10::impl::VirtualGuardImpl(device.type()).getDevice();
}

}  // namespace

ElementType element_type(torch::ScalarType type) {
  switch (type) {
    case torch::kFloat32:
      return ElementType::float32;
    case torch::kFloat64:
      return ElementType::float64;
    case torch::kFloat16:
      return ElementType::float16;
    case torch::kBFloat16:
      return ElementType::bfloat16;
    default:
      SS_CHECK(false, "no kernel for ", type);
  }
  return ElementType::float32;
}

const KernelTable* cuda_kernel_table() {
#ifdef STYLESCOPE_CUDA_KERNELS
  return &compiled_cuda_kernels();
#else
  return nullptr;
#endif
}

bool cuda_kernel_usable(CudaKernel kernel, const torch::Tensor& x) {
  if (!x.is_cuda()) return false;
  return approval_of(x.device())
      .usable[static_cast<size_t>(kernel)][static_cast<size_t>(element_type(x.scalar_type()))];
}

torch::Tensor upfirdn2d_by(const KernelTable& table, const torch::Tensor& x,
                           const torch::Tensor& filter, const UpfirdnArguments& a) {
  const auto sums = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto f = filter.detach().to(x.device(), sums).contiguous();
  if (f.dim() == 2) return pass(table, x, f, a);
  upfirdn_size(x, f, a);  // refuses with the whole image's sizes
  const auto rows = pass(table, x, f.unsqueeze(0),
                         {{a.up.x, 1}, {a.down.x, 1}, {a.pad.x0, a.pad.x1, 0, 0}, a.flip});
  return pass(table, rows, f.unsqueeze(1),
              {{1, a.up.y}, {1, a.down.y}, {0, 0, a.pad.y0, a.pad.y1}, a.flip});
}

torch::Tensor bias_act_by(const KernelTable& table, const torch::Tensor& x,
                          const torch::Tensor& bias, const BiasActArguments& a) {
  auto y = torch::empty_like(x);
  SS_CHECK(y.strides() == x.strides() && x.is_non_overlapping_and_dense(), x.strides());
  if (x.numel() == 0) return y;
  const auto b = bias.defined() ? bias.to(x.scalar_type()).contiguous() : torch::Tensor();
  const int64_t inner = x.is_contiguous() ? x.numel() / (x.size(0) * x.size(1)) : 1;
  const Launching on(x);
  check(table,
        table.bias_act({element_type(x.scalar_type()),
                        x.const_data_ptr(),
                        b.defined() ? b.const_data_ptr() : nullptr,
                        y.mutable_data_ptr(),
                        {x.numel(), x.size(1), inner},
                        constants(a)},
                       on.stream()),
        "bias_act");
  return y;
}

torch::Tensor bias_act_gradient_by(const KernelTable& table, const torch::Tensor& gradient,
                                   const torch::Tensor& y, const BiasActArguments& a) {
  if (!a.masked()) return a.gain == 1 ? gradient : gradient * a.gain;
  auto out = torch::empty_like(y);
  // The kernel runs over memory: the gradient must lie as y does.
  auto dense = gradient;
  if (gradient.strides() != y.strides()) dense = torch::empty_like(y).copy_(gradient);
  SS_CHECK(out.strides() == y.strides() && y.is_non_overlapping_and_dense(), y.strides());
  const Launching on(y);
  check(
      table,
      table.bias_act_gradient({element_type(y.scalar_type()), dense.const_data_ptr(),
                               y.const_data_ptr(), out.mutable_data_ptr(), y.numel(), constants(a)},
                              on.stream()),
      "the gradient of bias_act");
  return out;
}

}  // namespace detail

std::vector<std::string> cuda_kernel_warnings(torch::Device device) {
  if (!device.is_cuda()) return {};
  return detail::approval_of(detail::numbered(device)).warnings;
}

}  // namespace stylescope
