#include "stages/ops/winograd_kernel.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"
#include "stages/ops/parallel.hpp"
#include "stages/ops/winograd_product.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include <ATen/record_function.h>
#include <torch/torch.h>

namespace stylescope::detail {
namespace {

// F(4x4, 3x3) at the points 0, +-a, +-b and infinity with a^2 = 1/2 and b^2 = 2: the products a^2
// b^2 = 1 and small numbers throughout make it several times more precise than +-1 and +-2 do
// (Barabasz et al. 2020, "Error Analysis and Improving the Accuracy of Winograd Convolution").
constexpr int64_t kTile = 4, kSide = 6, kPlaces = kSide * kSide;
constexpr int kLanes = 16;
// Tiles that are transformed at a time: by a thread (enough to pay for reading all weights again),
// and by all of them (few enough for the shared cache).
constexpr int64_t kBlock = 48, kChunk = 192;

template <class T>
struct Points {
  static constexpr T a = T(0.70710678118654752440), b = T(1.41421356237309504880);
  static constexpr T a2 = T(0.5), b2 = T(2), sum = T(2.5);
  static constexpr T a3 = a * a2, b3 = b * b2;
};

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
      out[0][c] = d0 - P::sum * d2 + d4;
      out[1][c] = even_a + odd_a;
      out[2][c] = even_a - odd_a;
      out[3][c] = even_b + odd_b;
      out[4][c] = even_b - odd_b;
      out[5][c] = d1 - P::sum * d3 + d5;
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
      out[0][c] = g0;
      out[1][c] = even_a + odd_a;
      out[2][c] = even_a - odd_a;
      out[3][c] = even_b + odd_b;
      out[4][c] = even_b - odd_b;
      out[5][c] = g3;
    }
  }
};

// An image in channels_last and its tiles of 4x4 pixels.
template <class T>
struct Image {
  T* data;
  int64_t height, width, channels;
  int64_t rows() const { return (height + kTile - 1) / kTile; }
  int64_t columns() const { return (width + kTile - 1) / kTile; }
  // The pixel at (y, x) of sample n, or `other` outside of the image.
  T* pixel(int64_t n, int64_t y, int64_t x, T* other) const {
    const bool inside = y >= 0 && y < height && x >= 0 && x < width;
    return inside ? data + ((n * height + y) * width + x) * channels : other;
  }
};

// Square parts of `count` x `count` pixels from `first` pixels before each tile on, to their values
// at the 6x6 points, [36][channels/16][tiles][16]; tiles [begin, end) counted from `start` of the
// image's.
template <class T, int count, int first, class Transform>
STYLESCOPE_INLINE void to_points(const Image<const T>& image, T* points, int64_t tiles,
                                 int64_t start, int64_t begin, int64_t end) {
  alignas(64) T lines[count][kSide][kLanes];
  alignas(64) T result[kSide][kLanes];
  alignas(64) const T zeros[kLanes] = {};
  const int64_t columns = image.columns(), per_sample = columns * image.rows();
  for (int64_t t = begin; t < end; ++t) {
    const int64_t n = (start + t) / per_sample, place = (start + t) % per_sample;
    const int64_t y = place / columns * kTile - first, x = place % columns * kTile - first;
    const T* pixels[count][count];
    for (int i = 0; i < count; ++i)
      for (int j = 0; j < count; ++j) pixels[i][j] = image.pixel(n, y + i, x + j, nullptr);
    for (int64_t c = 0; c < image.channels; c += kLanes) {
      const T* in[count];
      for (int i = 0; i < count; ++i) {
        for (int j = 0; j < count; ++j) in[j] = pixels[i][j] ? pixels[i][j] + c : zeros;
        Transform::run(lines[i], in);
      }
      for (int64_t j = 0; j < kSide; ++j) {
        for (int i = 0; i < count; ++i) in[i] = lines[i][j];
        Transform::run(result, in);
        for (int64_t i = 0; i < kSide; ++i)
          std::copy_n(result[i], kLanes,
                      points + ((i * kSide + j) * image.channels + c) * tiles + t * kLanes);
      }
    }
  }
}

template <class T>
STYLESCOPE_INLINE void from_points(const Image<T>& image, const T* points, int64_t tiles,
                                   int64_t start, int64_t begin, int64_t end) {
  alignas(64) T lines[kSide][kTile][kLanes];  // by column of the points
  alignas(64) T result[kTile][kLanes];
  const int64_t columns = image.columns(), per_sample = columns * image.rows();
  for (int64_t t = begin; t < end; ++t) {
    const int64_t n = (start + t) / per_sample, place = (start + t) % per_sample;
    const int64_t y = place / columns * kTile, x = place % columns * kTile;
    for (int64_t c = 0; c < image.channels; c += kLanes) {
      const T* in[kSide];
      for (int64_t j = 0; j < kSide; ++j) {
        for (int64_t i = 0; i < kSide; ++i)
          in[i] = points + ((i * kSide + j) * image.channels + c) * tiles + t * kLanes;
        points_to_pixels(lines[j], in);
      }
      for (int64_t i = 0; i < kTile; ++i) {
        for (int64_t j = 0; j < kSide; ++j) in[j] = lines[j][i];
        points_to_pixels(result, in);
        for (int64_t j = 0; j < kTile; ++j) {
          T* pixel = image.pixel(n, y + i, x + j, nullptr);
          if (pixel) std::copy_n(result[j], kLanes, pixel + c);
        }
      }
    }
  }
}

#define STYLESCOPE_VARIANTS(T)                                                                   \
  STYLESCOPE_SIMD void image_to_points(const Image<const T>& image, T* points, int64_t tiles,    \
                                       int64_t start, int64_t begin, int64_t end) {              \
    to_points<T, kSide, 1, PixelsToPoints<T>>(image, points, tiles, start, begin, end);          \
  }                                                                                              \
  STYLESCOPE_SIMD void gradient_to_points(const Image<const T>& image, T* points, int64_t tiles, \
                                          int64_t start, int64_t begin, int64_t end) {           \
    to_points<T, kTile, 0, GradientToPoints<T>>(image, points, tiles, start, begin, end);        \
  }                                                                                              \
  STYLESCOPE_SIMD void points_to_image(const Image<T>& image, const T* points, int64_t tiles,    \
                                       int64_t start, int64_t begin, int64_t end) {              \
    from_points(image, points, tiles, start, begin, end);                                        \
  }
STYLESCOPE_VARIANTS(float)
STYLESCOPE_VARIANTS(double)
#undef STYLESCOPE_VARIANTS

template <class T>
Image<const T> image_of(const torch::Tensor& x) {
  return {x.const_data_ptr<T>(), x.size(2), x.size(3), x.size(1)};
}

// (36, 9): the 3x3 weight, row by row, to its values at the 6x6 points (the outer product of G with
// itself).
torch::Tensor weight_points(const torch::TensorOptions& options, double gain) {
  const double a = std::sqrt(0.5), b = std::sqrt(2.0), na = -1.5, nb = 6;  // N_p = prod (p - q)
  const auto g = torch::tensor({1.0, 0.0, 0.0,                             //
                                1 / na, a / na, 0.5 / na,                  //
                                1 / na, -a / na, 0.5 / na,                 //
                                1 / nb, b / nb, 2 / nb,                    //
                                1 / nb, -b / nb, 2 / nb,                   //
                                0.0, 0.0, 1.0},
                               torch::kFloat64)
                     .reshape({kSide, 3});
  return torch::kron(g, g).mul(gain).to(options.dtype());
}

constexpr int64_t kGrain = 8;  // tiles

int64_t tiles_of(const torch::Tensor& x) {
  return x.size(0) * ((x.size(2) + kTile - 1) / kTile) * ((x.size(3) + kTile - 1) / kTile);
}

// What a direct convolution would take: the benchmarks count with it.
double direct_operations(const torch::Tensor& x, int64_t out) {
  return 2.0 * 9 * static_cast<double>(x.numel()) * static_cast<double>(out);
}

// Tiles [first, last) all the way, in blocks, so that their points stay in the thread's cache.
template <class T>
void convolve_tiles(const Image<const T>& in, const Image<T>& out, const T* weights, int64_t first,
                    int64_t last) {
  const int64_t length = std::min(kBlock, last - first);
  const auto room =
      std::make_unique<T[]>(static_cast<size_t>(kPlaces * length * (in.channels + out.channels)));
  T* values = room.get();
  T* products = values + kPlaces * length * in.channels;
  for (int64_t start = first; start < last; start += length) {
    const int64_t tiles = std::min(length, last - start);
    image_to_points(in, values, tiles, start, 0, tiles);
    for (int64_t p = 0; p < kPlaces; ++p)
      winograd_product(values + p * tiles * in.channels, weights + p * in.channels * out.channels,
                       products + p * tiles * out.channels, tiles, in.channels, out.channels);
    points_to_image(out, products, tiles, start, 0, tiles);
  }
}

template <class T>
void forward(const torch::Tensor& x, const torch::Tensor& weights, torch::Tensor& y) {
  const Image<const T> in = image_of<T>(x);
  const Image<T> out{y.mutable_data_ptr<T>(), y.size(2), y.size(3), y.size(1)};
  const T* w = weights.const_data_ptr<T>();
  parallel_for(0, tiles_of(x), kGrain,
               [&](int64_t first, int64_t last) { convolve_tiles<T>(in, out, w, first, last); });
}

// Here the sums over tiles are the result: the threads share the points of a chunk of tiles and
// deal the places, so that sums do not depend on their number.
template <class T>
void weight_gradient(const torch::Tensor& x, const torch::Tensor& gradient, torch::Tensor& sums) {
  const Image<const T> in = image_of<T>(x), out = image_of<T>(gradient);
  const int64_t all = tiles_of(x), length = std::min(kChunk, all);
  const torch::Tensor room =
      torch::empty({kPlaces * length * (in.channels + out.channels)}, x.options());
  T *values = room.mutable_data_ptr<T>(), *slopes = values + kPlaces * length * in.channels,
    *s = sums.mutable_data_ptr<T>();
  for (int64_t start = 0; start < all; start += length) {
    const int64_t tiles = std::min(length, all - start);
    parallel_for(0, tiles, kGrain, [&](int64_t begin, int64_t end) {
      image_to_points(in, values, tiles, start, begin, end);
      gradient_to_points(out, slopes, tiles, start, begin, end);
    });
    parallel_for(0, kPlaces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        winograd_weight_product(values + p * tiles * in.channels, slopes + p * tiles * out.channels,
                                s + p * in.channels * out.channels, tiles, in.channels,
                                out.channels, start > 0);
    });
  }
}

}  // namespace

torch::Tensor winograd_forward_cpu(const torch::Tensor& x, const torch::Tensor& weight, double gain,
                                   bool adjoint) {
  const int64_t in = weight.size(adjoint ? 0 : 1), out = weight.size(adjoint ? 1 : 0);
  SS_CHECK(in % kLanes == 0 && out % kLanes == 0, weight.sizes());
  const std::array<c10::IValue, 1> direct{direct_operations(x, out)};
  RECORD_FUNCTION("stylescope::winograd", direct);
  const auto image = x.contiguous(torch::MemoryFormat::ChannelsLast);
  // Mirrored in both directions the taps come in the opposite order.
  auto points = weight_points(x.options(), gain);
  if (adjoint) points = points.flip(1);
  // (3, 3, out/16, in, 16)
  const auto taps = adjoint ? weight.unflatten(1, {out / kLanes, kLanes}).permute({3, 4, 1, 0, 2})
                            : weight.unflatten(0, {out / kLanes, kLanes}).permute({3, 4, 0, 2, 1});
  const auto weights = torch::mm(points, taps.reshape({9, in * out}));
  auto y = torch::empty({x.size(0), out, x.size(2), x.size(3)},
                        x.options().memory_format(torch::MemoryFormat::ChannelsLast));
  if (x.scalar_type() == torch::kFloat32)
    forward<float>(image, weights, y);
  else
    forward<double>(image, weights, y);
  return y;
}

torch::Tensor winograd_weight_gradient_cpu(const torch::Tensor& x, const torch::Tensor& gradient,
                                           double gain) {
  const int64_t in = x.size(1), out = gradient.size(1);
  SS_CHECK(in % kLanes == 0 && out % kLanes == 0, x.sizes(), gradient.sizes());
  const std::array<c10::IValue, 1> direct{direct_operations(x, out)};
  RECORD_FUNCTION("stylescope::winograd", direct);
  const auto image = x.contiguous(torch::MemoryFormat::ChannelsLast);
  const auto slopes = gradient.contiguous(torch::MemoryFormat::ChannelsLast);
  auto sums = torch::empty({kPlaces, in * out}, x.options());  // (36, out/16, in, 16)
  if (x.scalar_type() == torch::kFloat32)
    weight_gradient<float>(image, slopes, sums);
  else
    weight_gradient<double>(image, slopes, sums);
  const auto taps = torch::mm(weight_points(x.options(), gain).t(), sums);
  return taps.view({3, 3, out / kLanes, in, kLanes})
      .permute({2, 4, 3, 0, 1})
      .reshape({out, in, 3, 3});
}

}  // namespace stylescope::detail
