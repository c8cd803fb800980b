#include "stages/ops/bias_act_kernel.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"
#include "stages/ops/parallel.hpp"

#include <limits>
#include <vector>

#include <torch/torch.h>

namespace stylescope::detail {
namespace {

constexpr int64_t kGrain = 16384;

template <class T>
struct Constants {
  T slope, gain, limit;
  explicit Constants(const BiasActArguments& a)
      : slope(static_cast<T>(a.slope)),
        gain(static_cast<T>(a.gain)),
        limit(a.clamp > 0 ? static_cast<T>(a.clamp) : std::numeric_limits<T>::infinity()) {}
};

template <class T>
STYLESCOPE_INLINE T activate(T v, T slope, T gain, T limit) {
  v = (v > T(0) ? v : v * slope) * gain;
  v = v < -limit ? -limit : v;  // NaN passes
  return v > limit ? limit : v;
}

// Runs of `length` values that share one bias: run r has that of channel r % channels.
template <class T>
STYLESCOPE_INLINE void activate_planes(T* __restrict out, const T* __restrict x, const T* bias,
                                       int64_t channels, int64_t length, int64_t begin, int64_t end,
                                       const Constants<T>& c) {
  for (int64_t r = begin; r < end; ++r) {
    const T b = bias ? bias[r % channels] : T(0);
    const T* in = x + r * length;
    T* to = out + r * length;
    for (int64_t i = 0; i < length; ++i) to[i] = activate(in[i] + b, c.slope, c.gain, c.limit);
  }
}

// Rows of one value a channel.
template <class T>
STYLESCOPE_INLINE void activate_rows(T* __restrict out, const T* __restrict x,
                                     const T* __restrict bias, int64_t channels, int64_t begin,
                                     int64_t end, const Constants<T>& c) {
  for (int64_t r = begin; r < end; ++r) {
    const T* in = x + r * channels;
    T* to = out + r * channels;
    for (int64_t i = 0; i < channels; ++i)
      to[i] = activate(in[i] + bias[i], c.slope, c.gain, c.limit);
  }
}

template <class T>
STYLESCOPE_INLINE void gradient_range(T* __restrict out, const T* __restrict gradient,
                                      const T* __restrict y, int64_t begin, int64_t end,
                                      const Constants<T>& c) {
  for (int64_t i = begin; i < end; ++i) {
    const T g = gradient[i] * c.gain;
    const T slanted = y[i] > T(0) ? g : g * c.slope;
    out[i] = ((y[i] >= c.limit) | (y[i] <= -c.limit)) ? T(0) : slanted;
  }
}

#define STYLESCOPE_VARIANTS(T)                                                             \
  STYLESCOPE_SIMD void planes_simd(T* out, const T* x, const T* bias, int64_t channels,    \
                                   int64_t length, int64_t begin, int64_t end,             \
                                   const Constants<T>& c) {                                \
    activate_planes(out, x, bias, channels, length, begin, end, c);                        \
  }                                                                                        \
  STYLESCOPE_SIMD void rows_simd(T* out, const T* x, const T* bias, int64_t channels,      \
                                 int64_t begin, int64_t end, const Constants<T>& c) {      \
    activate_rows(out, x, bias, channels, begin, end, c);                                  \
  }                                                                                        \
  STYLESCOPE_SIMD void gradient_simd(T* out, const T* gradient, const T* y, int64_t begin, \
                                     int64_t end, const Constants<T>& c) {                 \
    gradient_range(out, gradient, y, begin, end, c);                                       \
  }
STYLESCOPE_VARIANTS(float)
STYLESCOPE_VARIANTS(double)
#undef STYLESCOPE_VARIANTS

template <class T>
void forward(const torch::Tensor& x, const torch::Tensor& bias, torch::Tensor& out,
             const BiasActArguments& a) {
  const Constants<T> c(a);
  const auto* in = x.const_data_ptr<T>();
  const T* b = bias.defined() ? bias.const_data_ptr<T>() : nullptr;
  T* to = out.mutable_data_ptr<T>();
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

template <class T>
void backward(const torch::Tensor& gradient, const torch::Tensor& y, torch::Tensor& out,
              const BiasActArguments& a) {
  const Constants<T> c(a);
  const auto *from = gradient.const_data_ptr<T>(), *value = y.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  parallel_for(0, y.numel(), kGrain,
               [&](int64_t begin, int64_t end) { gradient_simd(to, from, value, begin, end, c); });
}

}  // namespace

torch::Tensor bias_act_cpu(const torch::Tensor& x, const torch::Tensor& bias,
                           const BiasActArguments& a) {
  auto out = torch::empty_like(x);
  SS_CHECK(out.strides() == x.strides() && x.is_non_overlapping_and_dense(), x.strides());
  if (x.numel() == 0) return out;
  if (x.scalar_type() == torch::kFloat32)
    forward<float>(x, bias, out, a);
  else
    forward<double>(x, bias, out, a);
  return out;
}

torch::Tensor bias_act_gradient_cpu(const torch::Tensor& gradient, const torch::Tensor& y,
                                    const BiasActArguments& a) {
  if (!a.masked()) return a.gain == 1 ? gradient : gradient * a.gain;
  auto out = torch::empty_like(y);
  // The passes run over memory: the gradient must lie as y does.
  auto dense = gradient;
  if (gradient.strides() != y.strides()) dense = torch::empty_like(y).copy_(gradient);
  SS_CHECK(out.strides() == y.strides() && y.is_non_overlapping_and_dense(), y.strides());
  if (y.scalar_type() == torch::kFloat32)
    backward<float>(dense, y, out, a);
  else
    backward<double>(dense, y, out, a);
  return out;
}

}  // namespace stylescope::detail
