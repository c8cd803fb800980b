#include "stages/ops/upfirdn2d_kernel.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"
#include "stages/ops/parallel.hpp"
#include "stages/ops/storage_type.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include <ATen/record_function.h>
#include <torch/torch.h>

namespace stylescope::detail {
namespace {

using Taps = std::vector<double>;

// One axis of the polyphase form: output o is the sum over j of weights[phase[o]][j] *
// input[first[o] + j], where samples outside of the input are zero.
template <class T>
struct Axis {
  int64_t up, down, in, out;
  std::vector<int64_t> first;
  std::vector<int64_t> phase;
  std::vector<std::vector<T>> weights;
  int64_t below = 0;  // zeros that the taps reach before the input ...
  int64_t above = 0;  // ... and after it
};

// `taps` in the order of cross-correlation.
template <class T>
Axis<T> make_axis(const Taps& taps, int64_t up, int64_t down, int64_t pad, int64_t in,
                  int64_t out) {
  Axis<T> axis{up, down, in, out, {}, {}, {}};
  const auto count = static_cast<int64_t>(taps.size());
  axis.weights.resize(static_cast<size_t>(up));
  for (int64_t k = 0; k < count; ++k)
    axis.weights[static_cast<size_t>(k % up)].push_back(
        static_cast<T>(taps[static_cast<size_t>(k)]));
  for (int64_t o = 0; o < out; ++o) {
    const int64_t start = o * down - pad;  // of the filter, on the zero-inserted axis
    const int64_t phase = ((-start) % up + up) % up;
    const int64_t first = (start + phase) / up;
    const auto reach = static_cast<int64_t>(axis.weights[static_cast<size_t>(phase)].size());
    axis.first.push_back(first);
    axis.phase.push_back(phase);
    axis.below = std::max(axis.below, -first);
    axis.above = std::max(axis.above, first + reach - in);
  }
  return axis;
}

// A filter as a sum of products of a column and a row: one term when it is an outer product, else
// one per row.
struct Term {
  Taps column, row;
};

std::vector<Term> outer_products(const std::vector<Taps>& rows, double tolerance) {
  const size_t height = rows.size(), width = rows[0].size();
  size_t pivot_y = 0, pivot_x = 0;
  for (size_t y = 0; y < height; ++y)
    for (size_t x = 0; x < width; ++x)
      if (std::abs(rows[y][x]) > std::abs(rows[pivot_y][pivot_x])) pivot_y = y, pivot_x = x;
  const double pivot = rows[pivot_y][pivot_x];
  Term product{Taps(height, 0), rows[pivot_y]};
  bool exact = true;
  for (size_t y = 0; y < height; ++y) {
    product.column[y] = pivot == 0 ? 0 : rows[y][pivot_x] / pivot;
    for (size_t x = 0; x < width; ++x)
      exact &=
          std::abs(product.column[y] * product.row[x] - rows[y][x]) <= tolerance * std::abs(pivot);
  }
  if (exact) return {product};
  std::vector<Term> terms;
  for (size_t y = 0; y < height; ++y) {
    terms.push_back({Taps(height, 0), rows[y]});
    terms.back().column[y] = 1;
  }
  return terms;
}

// Terms of the filter as it is applied, in the order of cross-correlation.
std::vector<Term> filter_terms(const torch::Tensor& filter, bool flip, double tolerance) {
  auto f = filter.detach().to(torch::kCPU, torch::kFloat64);
  f = (flip ? f : f.flip(f.dim() == 1 ? std::vector<int64_t>{0} : std::vector<int64_t>{0, 1}))
          .contiguous();
  const auto* data = f.data_ptr<double>();
  if (f.dim() == 1) {
    const Taps taps(data, data + f.numel());
    return {{taps, taps}};
  }
  std::vector<Taps> rows;
  for (int64_t y = 0; y < f.size(0); ++y)
    rows.emplace_back(data + y * f.size(1), data + (y + 1) * f.size(1));
  return outer_products(rows, tolerance);
}

// out[i] (+)= sum over k < K of w[k] * in[i*step + k*stride]. K = 0: `taps` of them. What is read
// and written may be of a narrower type than what is computed.
template <class T, int K, bool add, class Out, class In>
STYLESCOPE_INLINE void fir(Out* __restrict out, const In* __restrict in, const T* __restrict w,
                           int64_t n, int64_t step, int64_t stride, int64_t taps) {
  if constexpr (K > 0) {
    T weight[K];
    for (int k = 0; k < K; ++k) weight[k] = w[k];
    for (int64_t i = 0; i < n; ++i) {
      T sum = weight[0] * static_cast<T>(in[i * step]);
      for (int k = 1; k < K; ++k) sum += weight[k] * static_cast<T>(in[i * step + k * stride]);
      out[i] = static_cast<Out>(add ? static_cast<T>(out[i]) + sum : sum);
    }
  } else {
    if (!add) std::fill(out, out + n, Out(0));
    for (int64_t k = 0; k < taps; ++k)
      for (int64_t i = 0; i < n; ++i)
        out[i] = static_cast<Out>(static_cast<T>(out[i]) +
                                  w[k] * static_cast<T>(in[i * step + k * stride]));
  }
}

template <class T, bool add, class Out, class In>
STYLESCOPE_INLINE void fir_any(Out* __restrict out, const In* __restrict in, const T* __restrict w,
                               int64_t n, int64_t step, int64_t stride, int64_t taps) {
  // The compiler needs a constant step of 1 or 2 to vectorise.
  const auto with_step = [&](auto constant) __attribute__((always_inline)) {
    constexpr int64_t s = decltype(constant)::value;
    switch (taps) {
      case 1:
        return fir<T, 1, add>(out, in, w, n, s, stride, taps);
      case 2:
        return fir<T, 2, add>(out, in, w, n, s, stride, taps);
      case 3:
        return fir<T, 3, add>(out, in, w, n, s, stride, taps);
      case 4:
        return fir<T, 4, add>(out, in, w, n, s, stride, taps);
      case 6:
        return fir<T, 6, add>(out, in, w, n, s, stride, taps);
      default:
        return fir<T, 0, add>(out, in, w, n, s, stride, taps);
    }
  };
  if (step == 1) return with_step(std::integral_constant<int64_t, 1>{});
  if (step == 2) return with_step(std::integral_constant<int64_t, 2>{});
  fir<T, 0, add>(out, in, w, n, step, stride, taps);
}

// Two phases written alternately: the upsampling by 2 of a row of single values.
template <class T, int K, bool add, class Out>
STYLESCOPE_INLINE void fir_pairs(Out* __restrict out, const T* __restrict even,
                                 const T* __restrict odd, const T* __restrict w_even,
                                 const T* __restrict w_odd, int64_t pairs) {
  T we[K], wo[K];
  for (int k = 0; k < K; ++k) we[k] = w_even[k], wo[k] = w_odd[k];
  for (int64_t i = 0; i < pairs; ++i) {
    T a = we[0] * even[i], b = wo[0] * odd[i];
    for (int k = 1; k < K; ++k) a += we[k] * even[i + k], b += wo[k] * odd[i + k];
    out[2 * i] = static_cast<Out>(add ? static_cast<T>(out[2 * i]) + a : a);
    out[2 * i + 1] = static_cast<Out>(add ? static_cast<T>(out[2 * i + 1]) + b : b);
  }
}

// Outputs [begin, axis.out) one by one; a value is `inner` neighbours wide.
template <class T, bool add, class Out>
STYLESCOPE_INLINE void filter_pixels(const Axis<T>& axis, Out* out, const T* in, int64_t inner,
                                     int64_t begin) {
  for (int64_t o = begin; o < axis.out; ++o) {
    const auto& w = axis.weights[static_cast<size_t>(axis.phase[static_cast<size_t>(o)])];
    fir_any<T, add>(out + o * inner, in + axis.first[static_cast<size_t>(o)] * inner, w.data(),
                    inner, 1, inner, static_cast<int64_t>(w.size()));
  }
}

// One row along x. in: the row with its margins of zeros, pointing at its first true value.
template <class T, bool add, class Out>
STYLESCOPE_INLINE void filter_row(const Axis<T>& axis, Out* out, const T* in, int64_t inner) {
  const auto& w0 = axis.weights[static_cast<size_t>(axis.phase[0])];
  const auto taps = static_cast<int64_t>(w0.size());
  const T* start = in + axis.first[0] * inner;
  if (axis.up == 1 && axis.down == 1)
    return fir_any<T, add>(out, start, w0.data(), axis.out * inner, 1, inner, taps);
  if (inner > 1) return filter_pixels<T, add>(axis, out, in, inner, 0);
  if (axis.up == 1) return fir_any<T, add>(out, start, w0.data(), axis.out, axis.down, 1, taps);
  if (axis.up == 2 && axis.down == 1 && axis.out >= 2) {
    const auto& w1 = axis.weights[static_cast<size_t>(axis.phase[1])];
    const T* odd = in + axis.first[1];
    const int64_t pairs = axis.out / 2, rest = 2 * pairs;
    if (taps == 2 && w1.size() == 2) {
      fir_pairs<T, 2, add>(out, start, odd, w0.data(), w1.data(), pairs);
      return filter_pixels<T, add>(axis, out, in, 1, rest);
    }
    if (taps == 6 && w1.size() == 6) {
      fir_pairs<T, 6, add>(out, start, odd, w0.data(), w1.data(), pairs);
      return filter_pixels<T, add>(axis, out, in, 1, rest);
    }
  }
  filter_pixels<T, add>(axis, out, in, 1, 0);
}

template <class S, class T = ComputeType<S>>
struct Plan {
  struct Pass {
    Axis<T> y, x;
  };
  std::vector<Pass> passes;
  const S* x;
  S* out;
  int64_t inner;  // values of a pixel that lie together: C in channels_last, else 1
  int64_t height, width, out_height, out_width;
  int64_t below = 0, above = 0;
};

// The vertical pass of one output row into `row`. False if no tap with a weight meets the image.
template <class T, class S>
STYLESCOPE_INLINE bool filter_column(const Axis<T>& axis, const S* image, int64_t o, int64_t length,
                                     T* row) {
  const auto& weights = axis.weights[static_cast<size_t>(axis.phase[static_cast<size_t>(o)])];
  int64_t first = axis.first[static_cast<size_t>(o)];
  int64_t begin = std::max<int64_t>(0, -first);
  int64_t end = std::min(static_cast<int64_t>(weights.size()), axis.in - first);
  while (begin < end && weights[static_cast<size_t>(begin)] == T(0)) ++begin;
  while (begin < end && weights[static_cast<size_t>(end - 1)] == T(0)) --end;
  if (begin >= end) return false;
  fir_any<T, false>(row, image + (first + begin) * length, weights.data() + begin, length, 1,
                    length, end - begin);
  return true;
}

// Output rows [begin, end), counted over all planes. scratch: a row with margins, zeros at first.
template <class S, class T = ComputeType<S>>
STYLESCOPE_INLINE void filter_rows(const Plan<S>& plan, T* scratch, int64_t begin, int64_t end) {
  const int64_t length = plan.width * plan.inner, out_length = plan.out_width * plan.inner;
  T* row = scratch + plan.below * plan.inner;
  for (int64_t r = begin; r < end; ++r) {
    const S* image = plan.x + r / plan.out_height * plan.height * length;
    S* out = plan.out + r * out_length;
    bool written = false;
    for (const auto& pass : plan.passes) {
      if (!filter_column(pass.y, image, r % plan.out_height, length, row)) continue;
      if (written)
        filter_row<T, true>(pass.x, out, row, plan.inner);
      else
        filter_row<T, false>(pass.x, out, row, plan.inner);
      written = true;
    }
    if (!written) std::fill(out, out + out_length, S(0));
  }
}

STYLESCOPE_SIMD void filter_rows_simd(const Plan<float>& plan, float* scratch, int64_t begin,
                                      int64_t end) {
  filter_rows(plan, scratch, begin, end);
}
STYLESCOPE_SIMD void filter_rows_simd(const Plan<double>& plan, double* scratch, int64_t begin,
                                      int64_t end) {
  filter_rows(plan, scratch, begin, end);
}
STYLESCOPE_SIMD void filter_rows_simd(const Plan<c10::BFloat16>& plan, float* scratch,
                                      int64_t begin, int64_t end) {
  filter_rows(plan, scratch, begin, end);
}

template <class S, class T = ComputeType<S>>
void run(const torch::Tensor& x, torch::Tensor& out, const std::vector<Term>& terms,
         const UpfirdnArguments& a, int64_t inner) {
  Plan<S> plan{{},
               x.const_data_ptr<S>(),
               out.mutable_data_ptr<S>(),
               inner,
               x.size(2),
               x.size(3),
               out.size(2),
               out.size(3)};
  for (const auto& term : terms) {
    plan.passes.push_back(
        {make_axis<T>(term.column, a.up.y, a.down.y, a.pad.y0, x.size(2), out.size(2)),
         make_axis<T>(term.row, a.up.x, a.down.x, a.pad.x0, x.size(3), out.size(3))});
    plan.below = std::max(plan.below, plan.passes.back().x.below);
    plan.above = std::max(plan.above, plan.passes.back().x.above);
  }
  const int64_t rows = x.size(0) * x.size(1) / inner * out.size(2);
  const int64_t work = out.size(3) * inner * static_cast<int64_t>(terms.size());
  parallel_for(0, rows, std::max<int64_t>(1, 8192 / work), [&](int64_t begin, int64_t end) {
    std::vector<T> scratch(static_cast<size_t>((plan.below + plan.width + plan.above) * inner),
                           T(0));
    filter_rows_simd(plan, scratch.data(), begin, end);
  });
}

}  // namespace

ImageSize upfirdn_size(const torch::Tensor& x, const torch::Tensor& filter,
                       const UpfirdnArguments& a) {
  const int64_t padded_height = x.size(2) * a.up.y + a.pad.y0 + a.pad.y1 - filter.size(0);
  const int64_t padded_width = x.size(3) * a.up.x + a.pad.x0 + a.pad.x1 - filter.size(-1);
  validate(padded_height >= 0 && padded_width >= 0, "an image of ", x.size(3), "x", x.size(2),
           " cannot be filtered (with up ", a.up.x, "x", a.up.y,
           " and its padding it is smaller than the filter's ", filter.size(-1), "x",
           filter.size(0), "); use more padding or larger images");
  return {padded_height / a.down.y + 1, padded_width / a.down.x + 1};
}

torch::Tensor upfirdn2d_cpu(const torch::Tensor& x, const torch::Tensor& filter,
                            const UpfirdnArguments& a) {
  RECORD_FUNCTION("stylescope::upfirdn2d", c10::ArrayRef<const c10::IValue>{});
  const auto size = upfirdn_size(x, filter, a);
  const auto format = x.suggest_memory_format();
  const auto input = x.contiguous(format);
  auto out = torch::empty({x.size(0), x.size(1), size.height, size.width},
                          x.options().memory_format(format));
  if (out.numel() == 0) return out;
  const double epsilon = x.scalar_type() == torch::kFloat64 ? std::numeric_limits<double>::epsilon()
                                                            : std::numeric_limits<float>::epsilon();
  const auto terms = filter_terms(filter, a.flip, 2 * epsilon);
  const int64_t inner = format == torch::MemoryFormat::ChannelsLast ? x.size(1) : 1;
  with_stored_type(x.scalar_type(),
                   [&](auto type) { run<decltype(type)>(input, out, terms, a, inner); });
  return out;
}

}  // namespace stylescope::detail
