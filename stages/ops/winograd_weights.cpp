#include "stages/ops/winograd_weights.hpp"

#include "io/base/error.hpp"
#include "stages/ops/parallel.hpp"
#include "stages/ops/winograd_points.hpp"

#include <torch/torch.h>

namespace stylescope::detail {
namespace {

constexpr int kTap = 3, kTaps = kTap * kTap;
constexpr int64_t kGrain = 64;  // blocks of sixteen outputs of one input

// Where taps lie, seen from the convolution that they are for: tap t of output o and input i at
// data[o * to_out + i * to_in + t * to_tap].
template <class S>
struct Taps {
  S* data;
  int64_t to_out, to_in, to_tap;
  S* at(int64_t out, int64_t in) const { return data + out * to_out + in * to_in; }
};

// Sixteen outputs of an input: write(point, values).
template <class T, class S, class Write>
STYLESCOPE_INLINE void block_to_points(const Taps<const S>& taps, int64_t out, int64_t in, T gain,
                                       Write write) {
  alignas(64) T loaded[kTaps][kLanes];
  alignas(64) T lines[kTap][kSide][kLanes];
  for (int l = 0; l < kLanes; ++l) {
    const S* from = taps.at(out + l, in);
    for (int t = 0; t < kTaps; ++t) loaded[t][l] = gain * static_cast<T>(from[t * taps.to_tap]);
  }
  const T* line[kTap];
  for (int i = 0; i < kTap; ++i) {
    for (int j = 0; j < kTap; ++j) line[j] = loaded[i * kTap + j];
    WeightsToPoints<T>::run(lines[i], line);
  }
  lines_to_points<WeightsToPoints<T>>(lines, write);
}

// Elements [begin, end) of the result's [O/16][I].
template <class T>
STYLESCOPE_INLINE void weights_to_points(const Taps<const T>& taps, T* points, int64_t out,
                                         int64_t in, T gain, int64_t begin, int64_t end) {
  const int64_t plane = plane_of<T>(out * in);
  for (int64_t e = begin; e < end; ++e) {
    const auto write = [&](int64_t point, const T* values) STYLESCOPE_INLINED {
      store(points + point * plane + e * kLanes, values);
    };
    block_to_points<T>(taps, e / in * kLanes, e % in, gain, write);
  }
}

// Elements [begin, end) of the result's [O/16][I/2].
STYLESCOPE_INLINE void weights_to_points(const Taps<const c10::BFloat16>& taps, BfloatPair* points,
                                         int64_t out, int64_t in, float gain, int64_t begin,
                                         int64_t end) {
  const int64_t pairs = in / 2, plane = plane_of<BfloatPair>(out * pairs);
  BfloatPair lower[kPlaces][kLanes];
  for (int64_t e = begin; e < end; ++e) {
    const auto keep = [&](int64_t point, const float* values)
                          STYLESCOPE_INLINED { store_lower(lower[point], values); };
    const auto write = [&](int64_t point, const float* values) STYLESCOPE_INLINED {
      store_pairs(points + point * plane + e * kLanes, lower[point], values);
    };
    block_to_points<float>(taps, e / pairs * kLanes, e % pairs * 2, gain, keep);
    block_to_points<float>(taps, e / pairs * kLanes, e % pairs * 2 + 1, gain, write);
  }
}

template <class S, class T>
STYLESCOPE_INLINE void weights_from_points(const Taps<S>& taps, const T* sums, int64_t out,
                                           int64_t in, T gain, int64_t begin, int64_t end) {
  alignas(64) T lines[kSide][kTap][kLanes];  // by column of the points
  alignas(64) T result[kTap][kLanes];
  const T* line[kSide];
  const int64_t plane = plane_of<T>(out * in);
  for (int64_t e = begin; e < end; ++e) {
    for (int j = 0; j < kSide; ++j) {
      for (int i = 0; i < kSide; ++i) line[i] = sums + (i * kSide + j) * plane + e * kLanes;
      points_to_weights(lines[j], line);
    }
    for (int i = 0; i < kTap; ++i) {
      for (int j = 0; j < kSide; ++j) line[j] = lines[j][i];
      points_to_weights(result, line);
      for (int l = 0; l < kLanes; ++l) {
        S* to = taps.at(e / in * kLanes + l, e % in) + i * kTap * taps.to_tap;
        for (int j = 0; j < kTap; ++j) to[j * taps.to_tap] = static_cast<S>(gain * result[j][l]);
      }
    }
  }
}

#define STYLESCOPE_VARIANTS(S, T)                                                                 \
  STYLESCOPE_SIMD void to_points_simd(const Taps<const S>& taps, PointOf<S>* points, int64_t out, \
                                      int64_t in, T gain, int64_t begin, int64_t end) {           \
    weights_to_points(taps, points, out, in, gain, begin, end);                                   \
  }                                                                                               \
  STYLESCOPE_SIMD void from_points_simd(const Taps<S>& taps, const T* sums, int64_t out,          \
                                        int64_t in, T gain, int64_t begin, int64_t end) {         \
    weights_from_points(taps, sums, out, in, gain, begin, end);                                   \
  }
STYLESCOPE_VARIANTS(float, float)
STYLESCOPE_VARIANTS(double, double)
STYLESCOPE_VARIANTS(c10::BFloat16, float)
#undef STYLESCOPE_VARIANTS

}  // namespace

torch::Tensor winograd_weights_to_points(const torch::Tensor& weight, double gain, bool adjoint) {
  const auto w = weight.contiguous();
  const int64_t out = w.size(adjoint ? 1 : 0), in = w.size(adjoint ? 0 : 1);
  SS_CHECK(in % kLanes == 0 && out % kLanes == 0, w.sizes());
  torch::Tensor points;
  with_stored_type(w.scalar_type(), [&](auto type) {
    using S = decltype(type);
    using E = PointOf<S>;
    const S* data = w.const_data_ptr<S>();
    const int64_t row = w.size(1) * kTaps;
    // Mirrored in both directions the taps come in the opposite order.
    const Taps<const S> taps = adjoint ? Taps<const S>{data + kTaps - 1, kTaps, row, -1}
                                       : Taps<const S>{data, row, kTaps, 1};
    const int64_t elements = out / kLanes * in * kSixteen<E>;
    points = torch::empty({kPlaces, plane_of<E>(elements)},
                          w.options().dtype(c10::CppTypeToScalarType<E>()));
    auto* to = static_cast<E*>(points.mutable_data_ptr());
    parallel_for(0, elements / kLanes, kGrain, [&](int64_t begin, int64_t end) {
      to_points_simd(taps, to, out, in, static_cast<ComputeType<S>>(gain), begin, end);
    });
  });
  return points;
}

torch::Tensor winograd_weights_from_points(const torch::Tensor& sums, int64_t out, int64_t in,
                                           double gain, torch::Dtype type) {
  SS_CHECK(sums.is_contiguous() && sums.size(0) == kPlaces && sums.size(1) >= in * out,
           sums.sizes());
  auto weight = torch::empty({out, in, kTap, kTap}, sums.options().dtype(type));
  with_stored_type(type, [&](auto stored) {
    using S = decltype(stored);
    using T = ComputeType<S>;
    const Taps<S> taps{weight.mutable_data_ptr<S>(), in * kTaps, kTaps, 1};
    const T* from = sums.const_data_ptr<T>();
    parallel_for(0, out / kLanes * in, kGrain, [&](int64_t begin, int64_t end) {
      from_points_simd(taps, from, out, in, static_cast<T>(gain), begin, end);
    });
  });
  return weight;
}

}  // namespace stylescope::detail
