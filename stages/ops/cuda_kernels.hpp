#pragma once

#include "stages/ops/bias_act_kernel.hpp"
#include "stages/ops/cuda_launch.hpp"
#include "stages/ops/upfirdn2d_kernel.hpp"

#include <array>
#include <string>
#include <vector>

#include <torch/types.h>

// The CUDA kernels of upfirdn2d and bias_act: whether this program has them, whether they are right
// on this device, and how they are called. No header of CUDA is needed to use it.
namespace stylescope {

// Compares the kernels with LibTorch's operations on small shapes (once a device and process; a
// second or so) and says, a sentence each, which are not used from now on and why. Empty when all
// is well, and for other devices than GPUs.
std::vector<std::string> cuda_kernel_warnings(torch::Device device);

namespace detail {

// The kernels by what they compute; bias_act counts together with its gradient.
enum class CudaKernel { upfirdn2d, bias_act };

// What the comparison found: which kernels may be used with which types, and what went wrong.
struct KernelApproval {
  std::array<std::array<bool, 4>, 2> usable{};  // [CudaKernel][ElementType]
  std::vector<std::string> warnings;
};

// float32, float64, float16, bfloat16; fails an SS_CHECK for other types.
ElementType element_type(torch::ScalarType type);

// Runs every kernel of `table` (null: this program has none) on `device` and compares it with plain
// operations in float64 on the CPU: values, and gradients too.
KernelApproval approve_kernels(const KernelTable* table, torch::Device device);

// The kernels of this program, or null.
const KernelTable* cuda_kernel_table();

// Whether x's device and type have an approved kernel; false for tensors of other devices than
// GPUs. The first call on a device makes the comparison.
bool cuda_kernel_usable(CudaKernel kernel, const torch::Tensor& x);

// The operators by the kernels of `table`, on LibTorch's current stream of x's device; on the CPU
// the stream is null. Types: float32, float64, float16, bfloat16. No autograd. Throw TransientError
// when a kernel does not start.
//   x: any strides, [N,C,H,W]; the result keeps NCHW or channels_last. filter: [f] or [fh,fw].
torch::Tensor upfirdn2d_by(const KernelTable& table, const torch::Tensor& x,
                           const torch::Tensor& filter, const UpfirdnArguments& arguments);
//   x, bias, gradient, y: as of bias_act_cpu and bias_act_gradient_cpu.
torch::Tensor bias_act_by(const KernelTable& table, const torch::Tensor& x,
                          const torch::Tensor& bias, const BiasActArguments& arguments);
torch::Tensor bias_act_gradient_by(const KernelTable& table, const torch::Tensor& gradient,
                                   const torch::Tensor& y, const BiasActArguments& arguments);

}  // namespace detail
}  // namespace stylescope
