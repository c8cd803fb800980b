#include "stages/ops/bias_act_kernel.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"
#include "stages/ops/parallel.hpp"
#include "stages/ops/storage_type.hpp"

#include <vector>

#include <ATen/record_function.h>
#include <torch/torch.h>

namespace stylescope::detail {
namespace {

constexpr int64_t kGrain = 16384;

template <class T>
struct Constants {
  T slope, gain, limit;
  Constants(const BiasActArguments& a, T clamp)
      : slope(static_cast<T>(a.slope)), gain(static_cast<T>(a.gain)), limit(clamp) {}
};

template <class T>
STYLESCOPE_INLINE T activate(T v, T slope, T gain, T limit) {
  v = (v > T(0) ? v : v * slope) * gain;
  v = v < -limit ? -limit : v;  // NaN passes
  return v > limit ? limit : v;
}

// Runs of `length` values that share one bias: run r has that of channel r % channels.
template <class S, class T = ComputeType<S>>
STYLESCOPE_INLINE void activate_planes(S* __restrict out, const S* __restrict x, const T* bias,
                                       int64_t channels, int64_t length, int64_t begin, int64_t end,
                                       const Constants<T>& c) {
  for (int64_t r = begin; r < end; ++r) {
    const T b = bias ? bias[r % channels] : T(0);
    const S* in = x + r * length;
    S* to = out + r * length;
    for (int64_t i = 0; i < length; ++i)
      to[i] = static_cast<S>(activate(static_cast<T>(in[i]) + b, c.slope, c.gain, c.limit));
  }
}

// Rows of one value a channel.
template <class S, class T = ComputeType<S>>
STYLESCOPE_INLINE void activate_rows(S* __restrict out, const S* __restrict x,
                                     const T* __restrict bias, int64_t channels, int64_t begin,
                                     int64_t end, const Constants<T>& c) {
  for (int64_t r = begin; r < end; ++r) {
    const S* in = x + r * channels;
    S* to = out + r * channels;
    for (int64_t i = 0; i < channels; ++i)
      to[i] = static_cast<S>(activate(static_cast<T>(in[i]) + bias[i], c.slope, c.gain, c.limit));
  }
}

template <class S, class T = ComputeType<S>>
STYLESCOPE_INLINE void gradient_range(S* __restrict out, const S* __restrict gradient,
                                      const S* __restrict y, int64_t begin, int64_t end,
                                      const Constants<T>& c) {
  for (int64_t i = begin; i < end; ++i) {
    const T g = static_cast<T>(gradient[i]) * c.gain, v = static_cast<T>(y[i]);
    const T slanted = v > T(0) ? g : g * c.slope;
    out[i] = static_cast<S>(((v >= c.limit) | (v <= -c.limit)) ? T(0) : slanted);
  }
}

#define STYLESCOPE_VARIANTS(S, T)                                                          \
  STYLESCOPE_SIMD void planes_simd(S* out, const S* x, const T* bias, int64_t channels,    \
                                   int64_t length, int64_t begin, int64_t end,             \
                                   const Constants<T>& c) {                                \
    activate_planes(out, x, bias, channels, length, begin, end, c);                        \
  }                                                                                        \
  STYLESCOPE_SIMD void rows_simd(S* out, const S* x, const T* bias, int64_t channels,      \
                                 int64_t begin, int64_t end, const Constants<T>& c) {      \
    activate_rows(out, x, bias, channels, begin, end, c);                                  \
  }                                                                                        \
  STYLESCOPE_SIMD void gradient_simd(S* out, const S* gradient, const S* y, int64_t begin, \
                                     int64_t end, const Constants<T>& c) {                 \
    gradient_range(out, gradient, y, begin, end, c);                                       \
  }
STYLESCOPE_VARIANTS(float, float)
STYLESCOPE_VARIANTS(double, double)
STYLESCOPE_VARIANTS(c10::BFloat16, float)
#undef STYLESCOPE_VARIANTS

template <class S, class T = ComputeType<S>>
void forward(const torch::Tensor& x, const torch::Tensor& bias, torch::Tensor& out,
             const BiasActArguments& a) {
  const Constants<T> c(a, clamp_limit<S>(a));
  const auto* in = x.const_data_ptr<S>();
  const T* b = bias.defined() ? bias.const_data_ptr<T>() : nullptr;
  S* to = out.mutable_data_ptr<S>();
  const int64_t channels = x.size(1);
  // Without a bias the layout does not matter: runs of any length will do.
  const bool planar = x.is_contiguous() && x.dim() > 2;
  if (b && !planar) {
    parallel_for(0, x.numel() / channels, 1 + kGrain / channels, [&](int64_t begin, int64_t end) {
      rows_simd(to, in, b, channels, begin, end, c);
    });
    return;
  }
  const int64_t length = planar ? x.numel() / (x.size(0) * channels) : channels;
  parallel_for(0, x.numel() / length, 1 + kGrain / length, [&](int64_t begin, int64_t end) {
    planes_simd(to, in, b, channels, length, begin, end, c);
  });
}

template <class S, class T = ComputeType<S>>
void backward(const torch::Tensor& gradient, const torch::Tensor& y, torch::Tensor& out,
              const BiasActArguments& a) {
  const Constants<T> c(a, clamp_limit<S>(a));
  const auto *from = gradient.const_data_ptr<S>(), *value = y.const_data_ptr<S>();
  S* to = out.mutable_data_ptr<S>();
  parallel_for(0, y.numel(), kGrain,
               [&](int64_t begin, int64_t end) { gradient_simd(to, from, value, begin, end, c); });
}

}  // namespace

torch::Tensor bias_act_cpu(const torch::Tensor& x, const torch::Tensor& bias,
                           const BiasActArguments& a) {
  RECORD_FUNCTION("stylescope::bias_act", c10::ArrayRef<const c10::IValue>{});
  auto out = torch::empty_like(x);
  SS_CHECK(out.strides() == x.strides() && x.is_non_overlapping_and_dense(), x.strides());
  if (x.numel() == 0) return out;
  const auto biases = bias.defined() ? bias.to(compute_type(x.scalar_type())) : bias;
  with_stored_type(x.scalar_type(), [&](auto type) { forward<decltype(type)>(x, biases, out, a); });
  return out;
}

torch::Tensor bias_act_gradient_cpu(const torch::Tensor& gradient, const torch::Tensor& y,
                                    const BiasActArguments& a) {
  RECORD_FUNCTION("stylescope::bias_act", c10::ArrayRef<const c10::IValue>{});
  if (!a.masked()) return a.gain == 1 ? gradient : gradient * a.gain;
  auto out = torch::empty_like(y);
  // The passes run over memory: the gradient must lie as y does.
  auto dense = gradient;
  if (gradient.strides() != y.strides() || gradient.scalar_type() != y.scalar_type())
    dense = torch::empty_like(y).copy_(gradient);
  SS_CHECK(out.strides() == y.strides() && y.is_non_overlapping_and_dense(), y.strides());
  with_stored_type(y.scalar_type(), [&](auto type) { backward<decltype(type)>(dense, y, out, a); });
  return out;
}

}  // namespace stylescope::detail
