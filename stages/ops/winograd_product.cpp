#include "stages/ops/winograd_product.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"

#include <bit>

#if defined(__x86_64__) && defined(__clang__) && !defined(STYLESCOPE_SANITIZED)
#define STYLESCOPE_LEVELS 1
#define STYLESCOPE_AVX2 __attribute__((target("avx2,fma")))
#define STYLESCOPE_AVX512 __attribute__((target("avx512f,avx2,fma")))
#define STYLESCOPE_AVX512_BF16 \
  __attribute__((target("avx512bf16,avx512bw,avx512vl,avx512f,avx2,fma")))
#include <immintrin.h>
#else
#define STYLESCOPE_LEVELS 0
#define STYLESCOPE_AVX2
#define STYLESCOPE_AVX512
#endif

namespace stylescope::detail {
namespace {

// What is multiplied, and in what it is summed up.
template <class E>
using SumOf = std::conditional_t<std::is_same_v<E, BfloatPair>, float, E>;

template <class T, int bytes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(bytes), aligned(sizeof(T))));
};
template <class T, int bytes>
using Vector = typename VectorOf<T, bytes>::Type;

// Multiply and add are one operation here, alone in the project: the products are most of the
// arithmetic of training.
template <class E, int bytes>
STYLESCOPE_INLINE void multiply_add(Vector<SumOf<E>, bytes>& sum, E left,
                                    const Vector<E, bytes>& right) {
#ifdef __clang__
#pragma clang fp contract(fast)
#endif
  if constexpr (std::is_same_v<E, BfloatPair>) {
    using Floats = Vector<float, bytes>;
    constexpr uint32_t kUpper = 0xffff0000U;
    sum = sum + std::bit_cast<float>(left << 16) * reinterpret_cast<Floats>(right << 16);
    sum = sum + std::bit_cast<float>(left & kUpper) * reinterpret_cast<Floats>(right & kUpper);
  } else {
    sum = sum + left * right;
  }
}

// c[r][16] (+)= sum over outer and steps of a[outer*outer_stride + step*step_stride + r*row_stride]
// * b[16 of this step], r < rows: as many running sums as fit in the registers.
template <class E, int bytes, int rows, int64_t step_stride, int64_t row_stride>
STYLESCOPE_INLINE void multiply(const E* a, const E* b, SumOf<E>* c, int64_t outer,
                                int64_t outer_stride, int64_t steps, bool add) {
  using Sums = Vector<SumOf<E>, bytes>;
  constexpr int width = bytes / static_cast<int>(sizeof(E)), parts = kLanes / width;
  Sums sums[rows][parts];
  for (int r = 0; r < rows; ++r)
    for (int p = 0; p < parts; ++p) sums[r][p] = Sums{};
  for (int64_t o = 0; o < outer; ++o, a += outer_stride) {
    const E* from = a;
    for (int64_t s = 0; s < steps; ++s, from += step_stride, b += kLanes) {
      Vector<E, bytes> right[parts];
      for (int p = 0; p < parts; ++p)
        right[p] = *reinterpret_cast<const Vector<E, bytes>*>(b + p * width);
      for (int r = 0; r < rows; ++r) {
        const E left = from[r * row_stride];
        for (int p = 0; p < parts; ++p) multiply_add<E, bytes>(sums[r][p], left, right[p]);
      }
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int p = 0; p < parts; ++p) {
      auto* to = reinterpret_cast<Sums*>(c + r * kLanes + p * width);
      *to = add ? *to + sums[r][p] : sums[r][p];
    }
}

#if STYLESCOPE_LEVELS
// The same of pairs by the instruction that is made for them. A function of its own, not inlined:
// only then may a caller without that instruction set name it.
template <int rows, int64_t step_stride, int64_t row_stride>
STYLESCOPE_AVX512_BF16 void multiply_pairs(const BfloatPair* a, const BfloatPair* b, float* c,
                                           int64_t outer, int64_t outer_stride, int64_t steps,
                                           bool add) {
  __m512 sums[rows];
  for (int r = 0; r < rows; ++r) sums[r] = _mm512_setzero_ps();
  for (int64_t o = 0; o < outer; ++o, a += outer_stride) {
    const BfloatPair* from = a;
    for (int64_t s = 0; s < steps; ++s, from += step_stride, b += kLanes) {
      const auto right = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b));
      for (int r = 0; r < rows; ++r) {
        const auto left = _mm512_set1_epi32(static_cast<int>(from[r * row_stride]));
        sums[r] = _mm512_dpbf16_ps(sums[r], reinterpret_cast<__m512bh>(left), right);
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    if (add) sums[r] = _mm512_add_ps(sums[r], _mm512_loadu_ps(c + r * kLanes));
    _mm512_storeu_ps(c + r * kLanes, sums[r]);
  }
}
#endif

// `bytes` of a vector; 0: pairs by their own instruction.
template <class E, int bytes, int rows, int64_t step_stride, int64_t row_stride>
STYLESCOPE_INLINE void multiply_by(const E* a, const E* b, SumOf<E>* c, int64_t outer,
                                   int64_t outer_stride, int64_t steps, bool add) {
#if STYLESCOPE_LEVELS
  if constexpr (bytes == 0)
    multiply_pairs<rows, step_stride, row_stride>(a, b, c, outer, outer_stride, steps, add);
  else
#endif
    multiply<E, bytes, rows, step_stride, row_stride>(a, b, c, outer, outer_stride, steps, add);
}

// Vectors that hold sixteen sums.
template <class E, int bytes>
constexpr int kParts = bytes == 0 ? 1 : static_cast<int>(kLanes * sizeof(E)) / bytes;
constexpr int rows_of(int registers, int parts) {
  return registers / parts > 0 ? registers / parts : 1;
}

template <class E, int bytes>
STYLESCOPE_INLINE void product(const E* values, const E* weights, SumOf<E>* products, int64_t tiles,
                               int64_t in, int64_t out) {
  constexpr int many = rows_of(12, kParts<E, bytes>), some = rows_of(4, kParts<E, bytes>);
  constexpr int64_t row = kSixteen<E>;
  const int64_t groups = in / kLanes, stride = tiles * row;
  for (int64_t n = 0; n < out / kLanes; ++n) {
    const E* b = weights + n * groups * row * kLanes;
    auto* c = products + n * tiles * kLanes;
    int64_t t = 0;
    for (; t + many <= tiles; t += many)
      multiply_by<E, bytes, many, 1, row>(values + t * row, b, c + t * kLanes, groups, stride, row,
                                          false);
    for (; t + some <= tiles; t += some)
      multiply_by<E, bytes, some, 1, row>(values + t * row, b, c + t * kLanes, groups, stride, row,
                                          false);
    for (; t < tiles; ++t)
      multiply_by<E, bytes, 1, 1, row>(values + t * row, b, c + t * kLanes, groups, stride, row,
                                       false);
  }
}

template <class E, int bytes>
STYLESCOPE_INLINE void weight_product(const E* values, const E* slopes, SumOf<E>* sums,
                                      int64_t tiles, int64_t in, int64_t out, bool add) {
  constexpr int rows = rows_of(8, kParts<E, bytes>);
  const int64_t steps = tiles * kSixteen<E> / kLanes;
  for (int64_t n = 0; n < out / kLanes; ++n)
    for (int64_t k = 0; k < in; k += rows)
      multiply_by<E, bytes, rows, kLanes, 1>(values + k / kLanes * steps * kLanes + k % kLanes,
                                             slopes + n * steps * kLanes,
                                             sums + (n * in + k) * kLanes, 1, 0, steps, add);
}

enum class Level { any, avx2, avx512, avx512_bf16 };
Level level() {
#if STYLESCOPE_LEVELS
  static const Level found = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
      return __builtin_cpu_supports("avx512bf16") ? Level::avx512_bf16 : Level::avx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Level::avx2
                                                                           : Level::any;
  }();
  return found;
#else
  return Level::any;
#endif
}

#define STYLESCOPE_VARIANT(E, S, name, ATTRIBUTE, bytes)                                         \
  ATTRIBUTE void on_##name(const E* values, const E* weights, S* products, int64_t tiles,        \
                           int64_t in, int64_t out) {                                            \
    product<E, bytes>(values, weights, products, tiles, in, out);                                \
  }                                                                                              \
  ATTRIBUTE void on_##name(const E* values, const E* slopes, S* sums, int64_t tiles, int64_t in, \
                           int64_t out, bool add) {                                              \
    weight_product<E, bytes>(values, slopes, sums, tiles, in, out, add);                         \
  }
#define STYLESCOPE_VARIANTS(E, S)                     \
  STYLESCOPE_VARIANT(E, S, any, , 16)                 \
  STYLESCOPE_VARIANT(E, S, avx2, STYLESCOPE_AVX2, 32) \
  STYLESCOPE_VARIANT(E, S, avx512, STYLESCOPE_AVX512, 64)
STYLESCOPE_VARIANTS(float, float)
STYLESCOPE_VARIANTS(double, double)
STYLESCOPE_VARIANTS(BfloatPair, float)
#if STYLESCOPE_LEVELS
STYLESCOPE_VARIANT(BfloatPair, float, avx512_bf16, STYLESCOPE_AVX512, 0)
#endif
#undef STYLESCOPE_VARIANTS
#undef STYLESCOPE_VARIANT

// The best variant for this processor.
template <class E, class... Sizes>
void dispatch(const E* a, const E* b, SumOf<E>* c, Sizes... sizes) {
#if STYLESCOPE_LEVELS
  if constexpr (std::is_same_v<E, BfloatPair>)
    if (level() == Level::avx512_bf16) return on_avx512_bf16(a, b, c, sizes...);
#endif
  switch (level()) {
    case Level::avx512_bf16:
    case Level::avx512:
      return on_avx512(a, b, c, sizes...);
    case Level::avx2:
      return on_avx2(a, b, c, sizes...);
    case Level::any:
      return on_any(a, b, c, sizes...);
  }
}

}  // namespace

void winograd_product(const float* values, const float* weights, float* products, int64_t tiles,
                      int64_t in, int64_t out) {
  dispatch(values, weights, products, tiles, in, out);
}
void winograd_product(const double* values, const double* weights, double* products, int64_t tiles,
                      int64_t in, int64_t out) {
  dispatch(values, weights, products, tiles, in, out);
}
void winograd_product(const BfloatPair* values, const BfloatPair* weights, float* products,
                      int64_t tiles, int64_t in, int64_t out) {
  dispatch(values, weights, products, tiles, in, out);
}
void winograd_weight_product(const float* values, const float* slopes, float* sums, int64_t tiles,
                             int64_t in, int64_t out, bool add) {
  dispatch(values, slopes, sums, tiles, in, out, add);
}
void winograd_weight_product(const double* values, const double* slopes, double* sums,
                             int64_t tiles, int64_t in, int64_t out, bool add) {
  dispatch(values, slopes, sums, tiles, in, out, add);
}
void winograd_weight_product(const BfloatPair* values, const BfloatPair* slopes, float* sums,
                             int64_t tiles, int64_t in, int64_t out, bool add) {
  SS_CHECK(tiles % 2 == 0, tiles);
  dispatch(values, slopes, sums, tiles, in, out, add);
}

}  // namespace stylescope::detail
