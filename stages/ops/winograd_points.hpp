#pragma once

#include "io/base/simd.hpp"
#include "stages/ops/storage_type.hpp"
#include "stages/ops/winograd_product.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

// From pixels, gradients and weights to values at the points of F(4x4, 3x3), and back: one line at
// a time, of sixteen channels. Twice, along both axes, they make the transforms of two dimensions.
namespace stylescope::detail {

// F(4x4, 3x3) at the points 0, +-a, +-b and infinity with a^2 = 1/2 and b^2 = 2: the products a^2
// b^2 = 1 and small numbers throughout make it several times more precise than +-1 and +-2 do
// (Barabasz et al. 2020, "Error Analysis and Improving the Accuracy of Winograd Convolution").
constexpr int64_t kTile = 4, kSide = 6, kPlaces = kSide * kSide;

template <class T>
struct Points {
  static constexpr T a = T(0.70710678118654752440), b = T(1.41421356237309504880);
  static constexpr T a2 = T(0.5), b2 = T(2), sum = T(2.5);
  static constexpr T a3 = a * a2, b3 = b * b2;
  // One over the product of a point's differences from the other finite ones.
  static constexpr T na = T(-1) / T(1.5), nb = T(1) / T(6);
};

// A line's values at the points: even and odd parts at a and b are their sums at +, differences
// at -.
template <class T>
STYLESCOPE_INLINE void put_points(T (*__restrict out)[kLanes], int c, T at_zero, T even_a, T odd_a,
                                  T even_b, T odd_b, T at_infinity) {
  out[0][c] = at_zero;
  out[1][c] = even_a + odd_a;
  out[2][c] = even_a - odd_a;
  out[3][c] = even_b + odd_b;
  out[4][c] = even_b - odd_b;
  out[5][c] = at_infinity;
}

// out = B^T in: six pixels of a line to their values at the points.
template <class T>
struct PixelsToPoints {
  static STYLESCOPE_INLINE void run(T (*__restrict out)[kLanes], const T* const* in) {
    using P = Points<T>;
    for (int c = 0; c < kLanes; ++c) {
      const T d0 = in[0][c], d1 = in[1][c], d2 = in[2][c], d3 = in[3][c], d4 = in[4][c],
              d5 = in[5][c];
      const T even_a = d4 - P::b2 * d2, odd_a = P::a * (d3 - P::b2 * d1);
      const T even_b = d4 - P::a2 * d2, odd_b = P::b * (d3 - P::a2 * d1);
      put_points(out, c, d0 - P::sum * d2 + d4, even_a, odd_a, even_b, odd_b,
                 d1 - P::sum * d3 + d5);
    }
  }
};

// out = A^T in: values at the points to four pixels.
template <class T>
STYLESCOPE_INLINE void points_to_pixels(T (*__restrict out)[kLanes], const T* const* in) {
  using P = Points<T>;
  for (int c = 0; c < kLanes; ++c) {
    const T m0 = in[0][c], m1 = in[1][c], m2 = in[2][c], m3 = in[3][c], m4 = in[4][c],
            m5 = in[5][c];
    const T even_a = m1 + m2, odd_a = m1 - m2, even_b = m3 + m4, odd_b = m3 - m4;
    out[0][c] = m0 + even_a + even_b;
    out[1][c] = P::a * odd_a + P::b * odd_b;
    out[2][c] = P::a2 * even_a + P::b2 * even_b;
    out[3][c] = P::a3 * odd_a + P::b3 * odd_b + m5;
  }
}

// out = A in: the adjoint of the above, of a gradient.
template <class T>
struct GradientToPoints {
  static STYLESCOPE_INLINE void run(T (*__restrict out)[kLanes], const T* const* in) {
    using P = Points<T>;
    for (int c = 0; c < kLanes; ++c) {
      const T g0 = in[0][c], g1 = in[1][c], g2 = in[2][c], g3 = in[3][c];
      const T even_a = g0 + P::a2 * g2, odd_a = P::a * g1 + P::a3 * g3;
      const T even_b = g0 + P::b2 * g2, odd_b = P::b * g1 + P::b3 * g3;
      put_points(out, c, g0, even_a, odd_a, even_b, odd_b, g3);
    }
  }
};

// out = G in: the three taps of a line.
template <class T>
struct WeightsToPoints {
  static STYLESCOPE_INLINE void run(T (*__restrict out)[kLanes], const T* const* in) {
    using P = Points<T>;
    for (int c = 0; c < kLanes; ++c) {
      const T g0 = in[0][c], g1 = in[1][c], g2 = in[2][c];
      const T even_a = P::na * (g0 + P::a2 * g2), odd_a = P::na * P::a * g1;
      const T even_b = P::nb * (g0 + P::b2 * g2), odd_b = P::nb * P::b * g1;
      put_points(out, c, g0, even_a, odd_a, even_b, odd_b, g2);
    }
  }
};

// out = G^T in: the adjoint of the above, of a gradient.
template <class T>
STYLESCOPE_INLINE void points_to_weights(T (*__restrict out)[kLanes], const T* const* in) {
  using P = Points<T>;
  for (int c = 0; c < kLanes; ++c) {
    const T s0 = in[0][c], s1 = in[1][c], s2 = in[2][c], s3 = in[3][c], s4 = in[4][c],
            s5 = in[5][c];
    const T even_a = P::na * (s1 + s2), odd_a = P::na * (s1 - s2);
    const T even_b = P::nb * (s3 + s4), odd_b = P::nb * (s3 - s4);
    out[0][c] = s0 + even_a + even_b;
    out[1][c] = P::a * odd_a + P::b * odd_b;
    out[2][c] = P::a2 * even_a + P::b2 * even_b + s5;
  }
}

// The second axis, of lines that were transformed along the first: write(point, values).
template <class Transform, class T, int count, class Write>
STYLESCOPE_INLINE void lines_to_points(const T (&lines)[count][kSide][kLanes], Write write) {
  alignas(64) T result[kSide][kLanes];
  const T* in[count];
  for (int j = 0; j < kSide; ++j) {
    for (int i = 0; i < count; ++i) in[i] = lines[i][j];
    Transform::run(result, in);
    for (int i = 0; i < kSide; ++i) write(i * kSide + j, result[i]);
  }
}

// What the points of an image of S are stored as.
template <class S>
using PointOf = std::conditional_t<std::is_same_v<S, c10::BFloat16>, BfloatPair, S>;

// From the values at a point to those at the next, of which there are `elements`: an odd number of
// cache lines. Otherwise all points of a tile would fall into the same few sets of the caches.
template <class E>
constexpr int64_t plane_of(int64_t elements) {
  constexpr int64_t line = 64 / sizeof(E);
  return (elements + line - 1) / line * line | line;
}

// Sixteen channels of a tile, rounded to what they are stored as.
template <class T>
STYLESCOPE_INLINE void store(T* to, const T* values) {
  std::copy_n(values, kLanes, to);
}
STYLESCOPE_INLINE void store(BfloatPair* to, const float* values) {
  uint16_t halves[kLanes];
  for (int l = 0; l < kLanes; ++l) halves[l] = c10::BFloat16(values[l]).x;
  std::memcpy(to, halves, sizeof halves);
}

// Pairs of neighbours, where the lower halves are `lower`.
STYLESCOPE_INLINE void store_lower(BfloatPair* lower, const float* values) {
  for (int l = 0; l < kLanes; ++l) lower[l] = c10::BFloat16(values[l]).x;
}
STYLESCOPE_INLINE void store_pairs(BfloatPair* to, const BfloatPair* lower, const float* values) {
  for (int l = 0; l < kLanes; ++l)
    to[l] = lower[l] | (BfloatPair{c10::BFloat16(values[l]).x} << 16);
}

}  // namespace stylescope::detail
