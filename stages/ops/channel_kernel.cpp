#include "stages/ops/channel_kernel.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"
#include "stages/ops/parallel.hpp"
#include "stages/ops/storage_type.hpp"

#include <algorithm>

#include <ATen/record_function.h>
#include <torch/torch.h>

namespace stylescope::detail {
namespace {

constexpr int64_t kGrain = 16384;

// Where the passes run: `pixels` of each sample, `channels` of each.
struct Shape {
  int64_t samples, pixels, channels;
  explicit Shape(const torch::Tensor& x)
      : samples(x.size(0)), pixels(x.size(2) * x.size(3)), channels(x.size(1)) {}
};

template <class T>
struct Constants {
  T slope, gain, limit;
  Constants(const BiasActArguments& a, T clamp)
      : slope(static_cast<T>(a.slope)), gain(static_cast<T>(a.gain)), limit(clamp) {}
};

template <class S, class T = ComputeType<S>>
STYLESCOPE_INLINE void scale_rows(S* out, const S* x, const T* scale, const Shape& shape,
                                  int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const T* __restrict s = scale + r / shape.pixels * shape.channels;
    const S* __restrict in = x + r * shape.channels;
    S* __restrict to = out + r * shape.channels;
    for (int64_t c = 0; c < shape.channels; ++c)
      to[c] = static_cast<S>(static_cast<T>(in[c]) * s[c]);
  }
}

// noise: one number a pixel, of each sample or (`shared`) of all; null: none.
template <class S, class T = ComputeType<S>>
STYLESCOPE_INLINE void act_rows(S* out, const S* x, const T* scale, const T* noise, bool shared,
                                T strength, const T* bias, const Shape& shape, int64_t begin,
                                int64_t end, const Constants<T>& k) {
  for (int64_t r = begin; r < end; ++r) {
    const T* __restrict s = scale + r / shape.pixels * shape.channels;
    const T* __restrict b = bias;
    const S* __restrict in = x + r * shape.channels;
    S* __restrict to = out + r * shape.channels;
    const T added = noise ? noise[shared ? r % shape.pixels : r] * strength : T(0);
    for (int64_t c = 0; c < shape.channels; ++c) {
      T v = static_cast<T>(in[c]) * s[c] + added + b[c];
      v = (v > T(0) ? v : v * k.slope) * k.gain;
      v = v < -k.limit ? -k.limit : v;  // NaN passes
      to[c] = static_cast<S>(v > k.limit ? k.limit : v);
    }
  }
}

// Pointers of a pass back; sums: [3][channels] (of m * x, m, m * noise) for these rows.
template <class S, class T = ComputeType<S>>
struct Backward {
  S* image;
  const S *gradient, *result, *x;
  const T *scale, *noise;
  bool shared;
  T* sums;
};

template <bool written, bool masked, bool scaled, bool dotted, bool summed, bool noised, class S,
          class T = ComputeType<S>>
STYLESCOPE_INLINE void gradient_rows(const Backward<S>& p, const Shape& shape, int64_t begin,
                                     int64_t end, const Constants<T>& k) {
  const int64_t channels = shape.channels;
  T* __restrict dot = p.sums;
  T* __restrict sum = p.sums + channels;
  T* __restrict weighted = p.sums + 2 * channels;
  for (int64_t r = begin; r < end; ++r) {
    const T* __restrict s = scaled ? p.scale + r / shape.pixels * channels : nullptr;
    const S* __restrict g = p.gradient + r * channels;
    const S* __restrict y = masked ? p.result + r * channels : nullptr;
    const S* __restrict x = dotted ? p.x + r * channels : nullptr;
    S* __restrict to = written ? p.image + r * channels : nullptr;
    const T noise = noised ? p.noise[p.shared ? r % shape.pixels : r] : T(0);
    for (int64_t c = 0; c < channels; ++c) {
      T m = static_cast<T>(g[c]);
      if constexpr (masked) {
        const T v = static_cast<T>(y[c]);
        m *= k.gain;
        m = v > T(0) ? m : m * k.slope;
        m = ((v >= k.limit) | (v <= -k.limit)) ? T(0) : m;
      }
      if constexpr (written) to[c] = static_cast<S>(scaled ? m * s[c] : m);
      if constexpr (dotted) dot[c] += m * static_cast<T>(x[c]);
      if constexpr (summed) sum[c] += m;
      if constexpr (noised) weighted[c] += m * noise;
    }
  }
}

#define STYLESCOPE_VARIANTS(S, T)                                                                  \
  STYLESCOPE_SIMD void scale_simd(S* out, const S* x, const T* scale, const Shape& shape,          \
                                  int64_t begin, int64_t end) {                                    \
    scale_rows(out, x, scale, shape, begin, end);                                                  \
  }                                                                                                \
  STYLESCOPE_SIMD void act_simd(S* out, const S* x, const T* scale, const T* noise, bool shared,   \
                                T strength, const T* bias, const Shape& shape, int64_t begin,      \
                                int64_t end, const Constants<T>& k) {                              \
    act_rows(out, x, scale, noise, shared, strength, bias, shape, begin, end, k);                  \
  }                                                                                                \
  STYLESCOPE_SIMD void scale_gradient_simd(const Backward<S>& p, const Shape& shape,               \
                                           int64_t begin, int64_t end, const Constants<T>& k) {    \
    gradient_rows<true, false, true, true, false, false>(p, shape, begin, end, k);                 \
  }                                                                                                \
  STYLESCOPE_SIMD void dot_simd(const Backward<S>& p, const Shape& shape, int64_t begin,           \
                                int64_t end, const Constants<T>& k) {                              \
    gradient_rows<false, false, false, true, false, false>(p, shape, begin, end, k);               \
  }                                                                                                \
  STYLESCOPE_SIMD void bias_gradient_simd(const Backward<S>& p, const Shape& shape, int64_t begin, \
                                          int64_t end, const Constants<T>& k) {                    \
    gradient_rows<true, true, false, false, true, false>(p, shape, begin, end, k);                 \
  }                                                                                                \
  STYLESCOPE_SIMD void act_gradient_simd(const Backward<S>& p, const Shape& shape, int64_t begin,  \
                                         int64_t end, const Constants<T>& k) {                     \
    gradient_rows<true, true, true, true, true, false>(p, shape, begin, end, k);                   \
  }                                                                                                \
  STYLESCOPE_SIMD void noisy_gradient_simd(const Backward<S>& p, const Shape& shape,               \
                                           int64_t begin, int64_t end, const Constants<T>& k) {    \
    gradient_rows<true, true, true, true, true, true>(p, shape, begin, end, k);                    \
  }
STYLESCOPE_VARIANTS(float, float)
STYLESCOPE_VARIANTS(double, double)
STYLESCOPE_VARIANTS(c10::BFloat16, float)
#undef STYLESCOPE_VARIANTS

template <class T>
const T* optional_data(const torch::Tensor& x) {
  return x.defined() ? x.const_data_ptr<T>() : nullptr;
}

// Scales, biases and noise as the passes read them.
torch::Tensor constants_of(const torch::Tensor& values, const torch::Tensor& image) {
  if (!values.defined()) return values;
  return values.detach().to(compute_type(image.scalar_type())).contiguous();
}

torch::Tensor like_image(const torch::Tensor& x, const torch::Tensor& image) {
  return x.defined() ? x.to(image.scalar_type()).contiguous(torch::MemoryFormat::ChannelsLast) : x;
}

// Rows of a sample that are summed up together: a share that depends on sizes alone.
int64_t parts_of(const Shape& shape) {
  return std::clamp<int64_t>(shape.pixels * shape.samples / (128 * shape.samples), 1, 16);
}

template <class S>
void run_gradients(const ChannelGradientInputs& in, torch::Tensor& image, torch::Tensor& sums) {
  using T = ComputeType<S>;
  const Shape shape(in.gradient);
  const int64_t parts = sums.size(1);
  const bool shared = in.noise.defined() && in.noise.dim() == 2;
  const Constants<T> k(in.arguments, clamp_limit<S>(in.arguments));
  Backward<S> base{image.defined() ? image.mutable_data_ptr<S>() : nullptr,
                   in.gradient.const_data_ptr<S>(),
                   optional_data<S>(in.result),
                   optional_data<S>(in.x),
                   optional_data<T>(in.scale),
                   optional_data<T>(in.noise),
                   shared,
                   sums.mutable_data_ptr<T>()};
  const auto rows = [&](const Backward<S>& p, int64_t begin, int64_t end) {
    if (!in.image) return dot_simd(p, shape, begin, end, k);
    if (!in.result.defined()) return scale_gradient_simd(p, shape, begin, end, k);
    if (!in.scale.defined()) return bias_gradient_simd(p, shape, begin, end, k);
    if (!in.noise.defined()) return act_gradient_simd(p, shape, begin, end, k);
    noisy_gradient_simd(p, shape, begin, end, k);
  };
  const int64_t work = shape.pixels * shape.channels / parts;
  parallel_for(0, shape.samples * parts, 1 + kGrain / std::max<int64_t>(work, 1),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   auto p = base;
                   p.sums += i * 3 * shape.channels;
                   const int64_t first = i / parts * shape.pixels, part = i % parts;
                   rows(p, first + shape.pixels * part / parts,
                        first + shape.pixels * (part + 1) / parts);
                 }
               });
}

}  // namespace

bool is_channel_image(const torch::Tensor& x) {
  return x.is_cpu() && x.dim() == 4 && x.numel() > 0 && is_stored_type(x.scalar_type()) &&
         x.is_contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor scale_channels_cpu(const torch::Tensor& x, const torch::Tensor& scale) {
  RECORD_FUNCTION("stylescope::channel_pass", c10::ArrayRef<const c10::IValue>{});
  auto out = torch::empty_like(x);
  SS_CHECK(is_channel_image(x) && is_channel_image(out), x.sizes());
  const Shape shape(x);
  const auto factors = constants_of(scale, x);
  with_stored_type(x.scalar_type(), [&](auto type) {
    using S = decltype(type);
    using T = ComputeType<S>;
    S* to = out.mutable_data_ptr<S>();
    const S* in = x.const_data_ptr<S>();
    const T* s = factors.const_data_ptr<T>();
    parallel_for(0, shape.samples * shape.pixels, 1 + kGrain / shape.channels,
                 [&](int64_t begin, int64_t end) { scale_simd(to, in, s, shape, begin, end); });
  });
  return out;
}

torch::Tensor scaled_act_cpu(const torch::Tensor& x, const torch::Tensor& scale,
                             const torch::Tensor& noise, const torch::Tensor& strength,
                             const torch::Tensor& bias, const BiasActArguments& arguments) {
  RECORD_FUNCTION("stylescope::channel_pass", c10::ArrayRef<const c10::IValue>{});
  auto out = torch::empty_like(x);
  SS_CHECK(is_channel_image(x) && is_channel_image(out), x.sizes());
  const Shape shape(x);
  const auto factors = constants_of(scale, x), added = constants_of(noise, x),
             biases = constants_of(bias, x);
  const double strong = noise.defined() ? strength.item<double>() : 0;
  const bool shared = noise.defined() && noise.dim() == 2;
  with_stored_type(x.scalar_type(), [&](auto type) {
    using S = decltype(type);
    using T = ComputeType<S>;
    const Constants<T> k(arguments, clamp_limit<S>(arguments));
    S* to = out.mutable_data_ptr<S>();
    const S* in = x.const_data_ptr<S>();
    const T *s = factors.const_data_ptr<T>(), *b = biases.const_data_ptr<T>(),
            *n = optional_data<T>(added);
    parallel_for(0, shape.samples * shape.pixels, 1 + kGrain / shape.channels,
                 [&](int64_t begin, int64_t end) {
                   act_simd(to, in, s, n, shared, static_cast<T>(strong), b, shape, begin, end, k);
                 });
  });
  return out;
}

ChannelGradients channel_gradients_cpu(const ChannelGradientInputs& inputs) {
  RECORD_FUNCTION("stylescope::channel_pass", c10::ArrayRef<const c10::IValue>{});
  ChannelGradientInputs in = inputs;
  const auto& like = in.result.defined() ? in.result : in.x;
  in.gradient = like_image(in.gradient, like);
  in.x = like_image(in.x, like);
  in.scale = constants_of(in.scale, like);
  in.noise = constants_of(in.noise, like);
  SS_CHECK(is_channel_image(in.gradient), in.gradient.sizes());
  const Shape shape(in.gradient);
  ChannelGradients found;
  if (in.image) found.image = torch::empty_like(in.gradient);
  auto sums = torch::zeros({shape.samples, parts_of(shape), 3, shape.channels},
                           in.gradient.options()
                               .dtype(compute_type(like.scalar_type()))
                               .memory_format(torch::MemoryFormat::Contiguous));
  with_stored_type(like.scalar_type(),
                   [&](auto type) { run_gradients<decltype(type)>(in, found.image, sums); });
  const auto by_sample = sums.sum(1);  // [N,3,C]
  if (in.x.defined()) found.scale = by_sample.select(1, 0);
  if (in.bias) found.bias = by_sample.select(1, 1).sum(0);
  if (in.noise.defined()) found.strength = by_sample.select(1, 2).sum();
  return found;
}

}  // namespace stylescope::detail
