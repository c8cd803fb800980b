#include "stages/training/adam_kernel.hpp"

#include "io/base/simd.hpp"
#include "stages/ops/parallel.hpp"

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>

#include <ATen/record_function.h>
#include <torch/torch.h>

namespace stylescope::detail {
namespace {

constexpr int64_t kGrain = 16384;

template <class T>
struct Buffers {
  T* __restrict values;
  const T* __restrict gradient;
  T* __restrict mean;
  T* __restrict square;
};

template <class T>
STYLESCOPE_INLINE void adam_range(const Buffers<T>& b, int64_t begin, int64_t end,
                                  const AdamFactors& f) {
  const T new1 = static_cast<T>(1 - f.beta1), beta2 = static_cast<T>(f.beta2),
          new2 = static_cast<T>(1 - f.beta2), epsilon = static_cast<T>(f.epsilon),
          decay = static_cast<T>(f.decay), size = static_cast<T>(f.step_size),
          root = static_cast<T>(f.root_of_correction);
  T* __restrict values = b.values;
  const T* __restrict gradient = b.gradient;
  T* __restrict mean = b.mean;
  T* __restrict square = b.square;
  for (int64_t i = begin; i < end; ++i) {
    const T g = gradient[i];
    // Towards the gradient in the form that is exact for beta1 = 0.
    const T m = f.beta1 < 0.5 ? g - (g - mean[i]) * (T(1) - new1) : mean[i] + new1 * (g - mean[i]);
    const T s = beta2 * square[i] + new2 * g * g;
    mean[i] = m;
    square[i] = s;
    values[i] = values[i] * decay - size * (m / (std::sqrt(s) / root + epsilon));
  }
}

// An exponent of ones: infinity or NaN. In integers, so that it vectorises.
STYLESCOPE_INLINE int64_t non_finite_range(const float* values, int64_t begin, int64_t end) {
  int32_t count = 0;
  for (int64_t i = begin; i < end; ++i)
    count += (std::bit_cast<uint32_t>(values[i]) & 0x7f800000U) == 0x7f800000U ? 1 : 0;
  return count;
}
STYLESCOPE_INLINE int64_t non_finite_range(const double* values, int64_t begin, int64_t end) {
  constexpr uint64_t ones = uint64_t{0x7ff} << 52;
  int64_t count = 0;
  for (int64_t i = begin; i < end; ++i)
    count += (std::bit_cast<uint64_t>(values[i]) & ones) == ones ? 1 : 0;
  return count;
}

#define STYLESCOPE_VARIANTS(T)                                                           \
  STYLESCOPE_SIMD void adam_simd(const Buffers<T>& b, int64_t begin, int64_t end,        \
                                 const AdamFactors& f) {                                 \
    adam_range(b, begin, end, f);                                                        \
  }                                                                                      \
  STYLESCOPE_SIMD int64_t non_finite_simd(const T* values, int64_t begin, int64_t end) { \
    return non_finite_range(values, begin, end);                                         \
  }
STYLESCOPE_VARIANTS(float)
STYLESCOPE_VARIANTS(double)
#undef STYLESCOPE_VARIANTS

template <class T>
void adam(torch::Tensor& values, const torch::Tensor& gradient, torch::Tensor& mean,
          torch::Tensor& square, const AdamFactors& f) {
  const Buffers<T> b{values.mutable_data_ptr<T>(), gradient.const_data_ptr<T>(),
                     mean.mutable_data_ptr<T>(), square.mutable_data_ptr<T>()};
  parallel_for(0, values.numel(), kGrain,
               [&](int64_t begin, int64_t end) { adam_simd(b, begin, end, f); });
}

template <class T>
int64_t count_non_finite(const torch::Tensor& values) {
  const T* data = values.const_data_ptr<T>();
  std::atomic<int64_t> count{0};
  parallel_for(0, values.numel(), kGrain,
               [&](int64_t begin, int64_t end) { count += non_finite_simd(data, begin, end); });
  return count;
}

}  // namespace

bool adam_suits(const torch::Tensor& values) {
  const auto type = values.scalar_type();
  return values.is_cpu() && values.is_contiguous() &&
         (type == torch::kFloat32 || type == torch::kFloat64);
}

void adam_step_cpu(torch::Tensor values, const torch::Tensor& gradient, torch::Tensor mean,
                   torch::Tensor square, const AdamFactors& factors) {
  RECORD_FUNCTION("stylescope::adam", c10::ArrayRef<const c10::IValue>{});
  if (values.scalar_type() == torch::kFloat32)
    adam<float>(values, gradient, mean, square, factors);
  else
    adam<double>(values, gradient, mean, square, factors);
}

int64_t count_non_finite_cpu(const torch::Tensor& values) {
  RECORD_FUNCTION("stylescope::adam", c10::ArrayRef<const c10::IValue>{});
  return values.scalar_type() == torch::kFloat32 ? count_non_finite<float>(values)
                                                 : count_non_finite<double>(values);
}

}  // namespace stylescope::detail
