#include "stages/ops/winograd_product.hpp"

#include "io/base/simd.hpp"

namespace stylescope::detail {
namespace {

constexpr int64_t kLanes = 16;

template <class T, int bytes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(bytes), aligned(sizeof(T))));
};

// c[r][16] (+)= sum over outer and steps of a[outer*outer_stride + step*step_stride + r*row_stride]
// * b[16 of this step], r < rows: as many running sums as fit in the registers. Multiply and add
// are one operation here, alone in the project: the products are most of the arithmetic of
// training.
template <class T, int bytes, int rows, int64_t step_stride, int64_t row_stride>
STYLESCOPE_INLINE void multiply(const T* a, const T* b, T* c, int64_t outer, int64_t outer_stride,
                                int64_t steps, bool add) {
#ifdef __clang__
#pragma clang fp contract(fast)
#endif
  using Vector = typename VectorOf<T, bytes>::Type;
  constexpr int width = bytes / static_cast<int>(sizeof(T)), parts = kLanes / width;
  Vector sums[rows][parts];
  for (int r = 0; r < rows; ++r)
    for (int p = 0; p < parts; ++p) sums[r][p] = Vector{};
  for (int64_t o = 0; o < outer; ++o, a += outer_stride) {
    const T* from = a;
    for (int64_t s = 0; s < steps; ++s, from += step_stride, b += kLanes) {
      Vector right[parts];
      for (int p = 0; p < parts; ++p) right[p] = *reinterpret_cast<const Vector*>(b + p * width);
      for (int r = 0; r < rows; ++r) {
        const T left = from[r * row_stride];
        for (int p = 0; p < parts; ++p) sums[r][p] = sums[r][p] + left * right[p];
      }
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int p = 0; p < parts; ++p) {
      auto* to = reinterpret_cast<Vector*>(c + r * kLanes + p * width);
      *to = add ? *to + sums[r][p] : sums[r][p];
    }
}

template <class T, int bytes>
STYLESCOPE_INLINE void product(const T* values, const T* weights, T* products, int64_t tiles,
                               int64_t in, int64_t out) {
  constexpr int parts = static_cast<int>(kLanes * sizeof(T)) / bytes;
  constexpr int many = 12 / parts > 0 ? 12 / parts : 1, some = 4 / parts > 0 ? 4 / parts : 1;
  const int64_t groups = in / kLanes, stride = tiles * kLanes;
  for (int64_t n = 0; n < out / kLanes; ++n) {
    const T* b = weights + n * in * kLanes;
    T* c = products + n * stride;
    int64_t t = 0;
    for (; t + many <= tiles; t += many)
      multiply<T, bytes, many, 1, kLanes>(values + t * kLanes, b, c + t * kLanes, groups, stride,
                                          kLanes, false);
    for (; t + some <= tiles; t += some)
      multiply<T, bytes, some, 1, kLanes>(values + t * kLanes, b, c + t * kLanes, groups, stride,
                                          kLanes, false);
    for (; t < tiles; ++t)
      multiply<T, bytes, 1, 1, kLanes>(values + t * kLanes, b, c + t * kLanes, groups, stride,
                                       kLanes, false);
  }
}

template <class T, int bytes>
STYLESCOPE_INLINE void weight_product(const T* values, const T* slopes, T* sums, int64_t tiles,
                                      int64_t in, int64_t out, bool add) {
  constexpr int parts = static_cast<int>(kLanes * sizeof(T)) / bytes;
  constexpr int rows = 8 / parts > 0 ? 8 / parts : 1;
  for (int64_t n = 0; n < out / kLanes; ++n)
    for (int64_t k = 0; k < in; k += rows)
      multiply<T, bytes, rows, kLanes, 1>(values + k / kLanes * tiles * kLanes + k % kLanes,
                                          slopes + n * tiles * kLanes, sums + (n * in + k) * kLanes,
                                          1, 0, tiles, add);
}

#if defined(__x86_64__) && defined(__clang__) && !defined(STYLESCOPE_SANITIZED)
#define STYLESCOPE_AVX2 __attribute__((target("avx2,fma")))
#define STYLESCOPE_AVX512 __attribute__((target("avx512f,avx2,fma")))
enum class Level { any, avx2, avx512 };
Level level() {
  static const Level found = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return Level::avx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Level::avx2
                                                                           : Level::any;
  }();
  return found;
}
#else
#define STYLESCOPE_AVX2
#define STYLESCOPE_AVX512
enum class Level { any, avx2, avx512 };
Level level() { return Level::any; }
#endif

#define STYLESCOPE_VARIANTS(T)                                                                     \
  void product_any(const T* v, const T* w, T* p, int64_t tiles, int64_t in, int64_t out) {         \
    product<T, 16>(v, w, p, tiles, in, out);                                                       \
  }                                                                                                \
  STYLESCOPE_AVX2 void product_avx2(const T* v, const T* w, T* p, int64_t tiles, int64_t in,       \
                                    int64_t out) {                                                 \
    product<T, 32>(v, w, p, tiles, in, out);                                                       \
  }                                                                                                \
  STYLESCOPE_AVX512 void product_avx512(const T* v, const T* w, T* p, int64_t tiles, int64_t in,   \
                                        int64_t out) {                                             \
    product<T, 64>(v, w, p, tiles, in, out);                                                       \
  }                                                                                                \
  void weight_product_any(const T* v, const T* s, T* sums, int64_t tiles, int64_t in, int64_t out, \
                          bool add) {                                                              \
    weight_product<T, 16>(v, s, sums, tiles, in, out, add);                                        \
  }                                                                                                \
  STYLESCOPE_AVX2 void weight_product_avx2(const T* v, const T* s, T* sums, int64_t tiles,         \
                                           int64_t in, int64_t out, bool add) {                    \
    weight_product<T, 32>(v, s, sums, tiles, in, out, add);                                        \
  }                                                                                                \
  STYLESCOPE_AVX512 void weight_product_avx512(const T* v, const T* s, T* sums, int64_t tiles,     \
                                               int64_t in, int64_t out, bool add) {                \
    weight_product<T, 64>(v, s, sums, tiles, in, out, add);                                        \
  }
STYLESCOPE_VARIANTS(float)
STYLESCOPE_VARIANTS(double)
#undef STYLESCOPE_VARIANTS

template <class T>
void dispatch(const T* values, const T* weights, T* products, int64_t tiles, int64_t in,
              int64_t out) {
  switch (level()) {
    case Level::avx512:
      return product_avx512(values, weights, products, tiles, in, out);
    case Level::avx2:
      return product_avx2(values, weights, products, tiles, in, out);
    case Level::any:
      return product_any(values, weights, products, tiles, in, out);
  }
}

template <class T>
void dispatch(const T* values, const T* slopes, T* sums, int64_t tiles, int64_t in, int64_t out,
              bool add) {
  switch (level()) {
    case Level::avx512:
      return weight_product_avx512(values, slopes, sums, tiles, in, out, add);
    case Level::avx2:
      return weight_product_avx2(values, slopes, sums, tiles, in, out, add);
    case Level::any:
      return weight_product_any(values, slopes, sums, tiles, in, out, add);
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
void winograd_weight_product(const float* values, const float* slopes, float* sums, int64_t tiles,
                             int64_t in, int64_t out, bool add) {
  dispatch(values, slopes, sums, tiles, in, out, add);
}
void winograd_weight_product(const double* values, const double* slopes, double* sums,
                             int64_t tiles, int64_t in, int64_t out, bool add) {
  dispatch(values, slopes, sums, tiles, in, out, add);
}

}  // namespace stylescope::detail
