#pragma once

#include "stages/ops/bias_act_element.hpp"
#include "stages/ops/upfirdn2d_element.hpp"

// Between cuda_kernels.cu, which nvcc compiles without LibTorch, and the rest: plain pointers and
// numbers. The pointers are of the device's memory.
namespace stylescope::detail {

enum class ElementType { float32, float64, float16, bfloat16 };

struct UpfirdnLaunch {
  ElementType type;
  const void* x;
  const void* filter;  // double for float64, else float
  void* y;
  UpfirdnShape shape;
  bool small;  // the input's and the output's offsets fit in half of int32_t
};

struct BiasActLaunch {
  ElementType type;
  const void* x;
  const void* bias;  // or null
  void* y;
  BiasActShape shape;
  BiasActConstants constants;
};

struct BiasActGradientLaunch {
  ElementType type;
  const void* gradient;
  const void* y;
  void* out;
  int64_t count;
  BiasActConstants constants;
};

// Each starts its kernel on `stream` (a cudaStream_t) of the current device and returns CUDA's
// error code, 0 when it was started; error_text says what a code means.
struct KernelTable {
  int (*upfirdn2d)(const UpfirdnLaunch& launch, void* stream);
  int (*bias_act)(const BiasActLaunch& launch, void* stream);
  int (*bias_act_gradient)(const BiasActGradientLaunch& launch, void* stream);
  const char* (*error_text)(int error);
};

// Those of cuda_kernels.cu, which is there only where STYLESCOPE_CUDA_KERNELS is defined.
const KernelTable& compiled_cuda_kernels();

}  // namespace stylescope::detail
