#pragma once

// Functions that nvcc compiles for the GPU and any compiler for the CPU: the same code is proved by
// the tests on a CPU and runs in the kernels of cuda_kernels.cu. No header of LibTorch or CUDA.
#ifdef __CUDACC__
#define STYLESCOPE_HD __host__ __device__ inline
#else
#define STYLESCOPE_HD inline
#endif

namespace stylescope::detail {

// What sums and products of a type are taken in: float, but for double.
template <class T>
struct AccumulateIn {
  using type = float;
};
template <>
struct AccumulateIn<double> {
  using type = double;
};
template <class T>
using Accumulate = typename AccumulateIn<T>::type;

}  // namespace stylescope::detail
