#include "stages/ops/cuda_launch.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace stylescope::detail {
namespace {

constexpr int kThreads = 256;

// One thread an output value, in the order of memory; the loop is for more values than a grid has
// threads.
template <class T, class Index>
__global__ void upfirdn2d_kernel(const T* x, const Accumulate<T>* filter, T* y,
                                 const UpfirdnShape shape, Index count) {
  const Index step = static_cast<Index>(gridDim.x) * kThreads;
  for (Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step)
    y[i] = upfirdn2d_element<T, Index>(x, filter, shape, i);
}

template <class T, class Index>
__global__ void bias_act_kernel(const T* x, const T* bias, T* y, const BiasActShape shape,
                                const BiasActConstants constants) {
  const Index step = static_cast<Index>(gridDim.x) * kThreads;
  const auto count = static_cast<Index>(shape.count);
  for (Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step)
    y[i] = bias_act_element<T, Index>(x, bias, shape, constants, i);
}

template <class T, class Index>
__global__ void bias_act_gradient_kernel(const T* gradient, const T* y, T* out, Index count,
                                         const BiasActConstants constants) {
  const Index step = static_cast<Index>(gridDim.x) * kThreads;
  for (Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step)
    out[i] = bias_act_gradient_element<T, Index>(gradient, y, constants, i);
}

// At most 2^18 blocks, 2^26 threads: i + step stays within int32_t for counts up to half its range.
unsigned blocks(int64_t count) {
  const int64_t wanted = (count + kThreads - 1) / kThreads;
  return static_cast<unsigned>(wanted < (1 << 18) ? wanted : 1 << 18);
}

constexpr int64_t kSmall = int64_t{1} << 30;

// body(T{}) with the C++ type of `type`.
template <class Body>
void with_type(ElementType type, const Body& body) {
  switch (type) {
    case ElementType::float32:
      return body(float{});
    case ElementType::float64:
      return body(double{});
    case ElementType::float16:
      return body(__half{});
    case ElementType::bfloat16:
      return body(__nv_bfloat16{});
  }
}

int launch_upfirdn2d(const UpfirdnLaunch& l, void* stream) {
  const int64_t count = l.shape.batch * l.shape.channels * l.shape.x.out * l.shape.y.out;
  if (count == 0) return cudaSuccess;
  auto* on = static_cast<cudaStream_t>(stream);
  with_type(l.type, [&](auto zero) {
    using T = decltype(zero);
    const auto* x = static_cast<const T*>(l.x);
    const auto* filter = static_cast<const Accumulate<T>*>(l.filter);
    if (l.small)
      upfirdn2d_kernel<T, int32_t><<<blocks(count), kThreads, 0, on>>>(
          x, filter, static_cast<T*>(l.y), l.shape, static_cast<int32_t>(count));
    else
      upfirdn2d_kernel<T, int64_t>
          <<<blocks(count), kThreads, 0, on>>>(x, filter, static_cast<T*>(l.y), l.shape, count);
  });
  return cudaGetLastError();
}

int launch_bias_act(const BiasActLaunch& l, void* stream) {
  const int64_t count = l.shape.count;
  if (count == 0) return cudaSuccess;
  auto* on = static_cast<cudaStream_t>(stream);
  with_type(l.type, [&](auto zero) {
    using T = decltype(zero);
    const auto *x = static_cast<const T*>(l.x), *bias = static_cast<const T*>(l.bias);
    auto* y = static_cast<T*>(l.y);
    if (count < kSmall)
      bias_act_kernel<T, int32_t>
          <<<blocks(count), kThreads, 0, on>>>(x, bias, y, l.shape, l.constants);
    else
      bias_act_kernel<T, int64_t>
          <<<blocks(count), kThreads, 0, on>>>(x, bias, y, l.shape, l.constants);
  });
  return cudaGetLastError();
}

int launch_bias_act_gradient(const BiasActGradientLaunch& l, void* stream) {
  if (l.count == 0) return cudaSuccess;
  auto* on = static_cast<cudaStream_t>(stream);
  with_type(l.type, [&](auto zero) {
    using T = decltype(zero);
    const auto *gradient = static_cast<const T*>(l.gradient), *y = static_cast<const T*>(l.y);
    auto* out = static_cast<T*>(l.out);
    if (l.count < kSmall)
      bias_act_gradient_kernel<T, int32_t><<<blocks(l.count), kThreads, 0, on>>>(
          gradient, y, out, static_cast<int32_t>(l.count), l.constants);
    else
      bias_act_gradient_kernel<T, int64_t>
          <<<blocks(l.count), kThreads, 0, on>>>(gradient, y, out, l.count, l.constants);
  });
  return cudaGetLastError();
}

const char* error_text(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

}  // namespace

const KernelTable& compiled_cuda_kernels() {
  static constexpr KernelTable table{launch_upfirdn2d, launch_bias_act, launch_bias_act_gradient,
                                     error_text};
  return table;
}

}  // namespace stylescope::detail
