#include "stages/ops/winograd_kernel.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"
#include "stages/ops/parallel.hpp"
#include "stages/ops/storage_type.hpp"
#include "stages/ops/winograd_points.hpp"
#include "stages/ops/winograd_product.hpp"
#include "stages/ops/winograd_weights.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include <ATen/record_function.h>
#include <torch/torch.h>

namespace stylescope::detail {
namespace {

// Tiles that are transformed at a time: by a thread (enough to pay for reading all weights again),
// and by all of them (few enough for the shared cache).
constexpr int64_t kBlock = 48, kChunk = 192;

// An image in channels_last and its tiles of 4x4 pixels.
template <class S>
struct Image {
  S* data;
  int64_t height, width, channels;
  int64_t rows() const { return (height + kTile - 1) / kTile; }
  int64_t columns() const { return (width + kTile - 1) / kTile; }
  // The pixel at (y, x) of sample n, or null outside of the image.
  S* pixel(int64_t n, int64_t y, int64_t x) const {
    const bool inside = y >= 0 && y < height && x >= 0 && x < width;
    return inside ? data + ((n * height + y) * width + x) * channels : nullptr;
  }
};

// The pixels of a tile that matter for it: `count` x `count` from `first` before it on; null
// outside of the image.
template <class S, int count, int first>
struct Square {
  const S* pixels[count][count];
  STYLESCOPE_INLINE Square(const Image<const S>& image, int64_t tile) {
    const int64_t columns = image.columns(), per_sample = columns * image.rows();
    const int64_t n = tile / per_sample, place = tile % per_sample;
    const int64_t y = place / columns * kTile - first, x = place % columns * kTile - first;
    for (int i = 0; i < count; ++i)
      for (int j = 0; j < count; ++j) pixels[i][j] = image.pixel(n, y + i, x + j);
  }
};

// Sixteen channels of a square, from c on, to their values at the 6x6 points: write(point, values).
template <class Transform, class T, class S, int count, int first, class Write>
STYLESCOPE_INLINE void to_points(const Square<S, count, first>& square, int64_t c, Write write) {
  alignas(64) T lines[count][kSide][kLanes];
  alignas(64) T loaded[count][kLanes];
  alignas(64) const T zeros[kLanes] = {};
  const T* in[count];
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < count; ++j) {
      const S* from = square.pixels[i][j];
      in[j] = zeros;
      if (!from) continue;
      if constexpr (std::is_same_v<S, T>) {
        in[j] = from + c;
      } else {
        for (int l = 0; l < kLanes; ++l) loaded[j][l] = static_cast<T>(from[c + l]);
        in[j] = loaded[j];
      }
    }
    Transform::run(lines[i], in);
  }
  lines_to_points<Transform>(lines, write);
}

// Tiles [begin, end), counted from `start` of the image's, to their values at the points:
// [36][channels/16][tiles][sixteen].
template <class Transform, int count, int first, class S, class E>
STYLESCOPE_INLINE void tiles_to_points(const Image<const S>& image, E* points, int64_t tiles,
                                       int64_t start, int64_t begin, int64_t end) {
  const int64_t plane = plane_of<E>(image.channels / kLanes * tiles * kSixteen<E>);
  for (int64_t t = begin; t < end; ++t) {
    const Square<S, count, first> square(image, start + t);
    for (int64_t c = 0; c < image.channels; c += kLanes) {
      E* to = points + (c / kLanes * tiles + t) * kSixteen<E>;
      const auto write = [&](int64_t point, const ComputeType<S>* values)
                             STYLESCOPE_INLINED { store(to + point * plane, values); };
      to_points<Transform, ComputeType<S>>(square, c, write);
    }
  }
}

// The same of pairs of tiles [begin, end) for sums over tiles: [36][channels/16][pairs][16]. The
// last tile may have no neighbour.
template <class Transform, int count, int first>
STYLESCOPE_INLINE void tiles_to_pairs(const Image<const c10::BFloat16>& image, BfloatPair* points,
                                      int64_t tiles, int64_t start, int64_t begin, int64_t end) {
  const int64_t pairs = (tiles + 1) / 2, plane = plane_of<BfloatPair>(image.channels * pairs);
  BfloatPair lower[kPlaces][kLanes];
  for (int64_t t = begin; t < end; ++t) {
    const bool both = 2 * t + 1 < tiles;
    const Square<c10::BFloat16, count, first> one(image, start + 2 * t),
        other(image, start + 2 * t + (both ? 1 : 0));
    for (int64_t c = 0; c < image.channels; c += kLanes) {
      const auto keep = [&](int64_t point, const float* values)
                            STYLESCOPE_INLINED { store_lower(lower[point], values); };
      const auto write = [&](int64_t point, const float* values) STYLESCOPE_INLINED {
        BfloatPair* to = points + point * plane + (c / kLanes * pairs + t) * kLanes;
        if (both)
          store_pairs(to, lower[point], values);
        else
          std::copy_n(lower[point], kLanes, to);
      };
      to_points<Transform, float>(one, c, keep);
      to_points<Transform, float>(other, c, write);
    }
  }
}

template <class S, class T>
STYLESCOPE_INLINE void from_points(const Image<S>& image, const T* points, int64_t tiles,
                                   int64_t start, int64_t begin, int64_t end) {
  alignas(64) T lines[kSide][kTile][kLanes];  // by column of the points
  alignas(64) T result[kTile][kLanes];
  const int64_t columns = image.columns(), per_sample = columns * image.rows();
  const int64_t plane = plane_of<T>(image.channels * tiles);
  for (int64_t t = begin; t < end; ++t) {
    const int64_t n = (start + t) / per_sample, place = (start + t) % per_sample;
    const int64_t y = place / columns * kTile, x = place % columns * kTile;
    for (int64_t c = 0; c < image.channels; c += kLanes) {
      const T* in[kSide];
      for (int64_t j = 0; j < kSide; ++j) {
        for (int64_t i = 0; i < kSide; ++i)
          in[i] = points + (i * kSide + j) * plane + c * tiles + t * kLanes;
        points_to_pixels(lines[j], in);
      }
      for (int64_t i = 0; i < kTile; ++i) {
        for (int64_t j = 0; j < kSide; ++j) in[j] = lines[j][i];
        points_to_pixels(result, in);
        for (int64_t j = 0; j < kTile; ++j)
          if (S* pixel = image.pixel(n, y + i, x + j))
            for (int l = 0; l < kLanes; ++l) pixel[c + l] = static_cast<S>(result[j][l]);
      }
    }
  }
}

#define STYLESCOPE_VARIANTS(S)                                                                     \
  STYLESCOPE_SIMD void image_to_points(const Image<const S>& image, PointOf<S>* points,            \
                                       int64_t tiles, int64_t start, int64_t begin, int64_t end) { \
    tiles_to_points<PixelsToPoints<ComputeType<S>>, kSide, 1>(image, points, tiles, start, begin,  \
                                                              end);                                \
  }                                                                                                \
  STYLESCOPE_SIMD void points_to_image(const Image<S>& image, const ComputeType<S>* points,        \
                                       int64_t tiles, int64_t start, int64_t begin, int64_t end) { \
    from_points(image, points, tiles, start, begin, end);                                          \
  }
STYLESCOPE_VARIANTS(float)
STYLESCOPE_VARIANTS(double)
STYLESCOPE_VARIANTS(c10::BFloat16)
#undef STYLESCOPE_VARIANTS

// For sums over tiles: of the image, and of the gradient of the result.
#define STYLESCOPE_VARIANTS(S, to_summands)                                                     \
  STYLESCOPE_SIMD void image_to_summands(const Image<const S>& image, PointOf<S>* points,       \
                                         int64_t tiles, int64_t start, int64_t begin,           \
                                         int64_t end) {                                         \
    to_summands<PixelsToPoints<ComputeType<S>>, kSide, 1>(image, points, tiles, start, begin,   \
                                                          end);                                 \
  }                                                                                             \
  STYLESCOPE_SIMD void gradient_to_summands(const Image<const S>& image, PointOf<S>* points,    \
                                            int64_t tiles, int64_t start, int64_t begin,        \
                                            int64_t end) {                                      \
    to_summands<GradientToPoints<ComputeType<S>>, kTile, 0>(image, points, tiles, start, begin, \
                                                            end);                               \
  }
STYLESCOPE_VARIANTS(float, tiles_to_points)
STYLESCOPE_VARIANTS(double, tiles_to_points)
STYLESCOPE_VARIANTS(c10::BFloat16, tiles_to_pairs)
#undef STYLESCOPE_VARIANTS

template <class T>
Image<const T> image_of(const torch::Tensor& x) {
  return {x.const_data_ptr<T>(), x.size(2), x.size(3), x.size(1)};
}

constexpr int64_t kGrain = 8;  // tiles

int64_t tiles_of(const torch::Tensor& x) {
  return x.size(0) * ((x.size(2) + kTile - 1) / kTile) * ((x.size(3) + kTile - 1) / kTile);
}

// What a direct convolution would take: the benchmarks count with it.
double direct_operations(const torch::Tensor& x, int64_t out) {
  return 2.0 * 9 * static_cast<double>(x.numel()) * static_cast<double>(out);
}

// Memory that begins with a cache line.
template <class T>
class Room {
 public:
  explicit Room(int64_t elements)
      : memory_(at::getCPUAllocator()->allocate(static_cast<size_t>(elements) * sizeof(T))) {}
  T* get() const { return static_cast<T*>(memory_.get()); }

 private:
  c10::DataPtr memory_;
};

// Tiles [first, last) all the way, in blocks, so that their points stay in the thread's cache.
template <class S, class T = ComputeType<S>, class E = PointOf<S>>
void convolve_tiles(const Image<const S>& in, const Image<S>& out, const E* weights, int64_t first,
                    int64_t last) {
  const int64_t length = std::min(kBlock, last - first);
  const int64_t row = in.channels / kLanes * kSixteen<E>;  // elements of a tile at a point
  const Room<E> values(kPlaces * plane_of<E>(length * row));
  const Room<T> products(kPlaces * plane_of<T>(length * out.channels));
  const int64_t weight_plane = plane_of<E>(row * out.channels);
  for (int64_t start = first; start < last; start += length) {
    const int64_t tiles = std::min(length, last - start);
    image_to_points(in, values.get(), tiles, start, 0, tiles);
    for (int64_t p = 0; p < kPlaces; ++p)
      winograd_product(values.get() + p * plane_of<E>(tiles * row), weights + p * weight_plane,
                       products.get() + p * plane_of<T>(tiles * out.channels), tiles, in.channels,
                       out.channels);
    points_to_image(out, products.get(), tiles, start, 0, tiles);
  }
}

template <class S>
void forward(const torch::Tensor& x, const torch::Tensor& weights, torch::Tensor& y) {
  const Image<const S> in = image_of<S>(x);
  const Image<S> out{y.mutable_data_ptr<S>(), y.size(2), y.size(3), y.size(1)};
  const auto* w = static_cast<const PointOf<S>*>(weights.const_data_ptr());
  parallel_for(0, tiles_of(x), kGrain,
               [&](int64_t first, int64_t last) { convolve_tiles<S>(in, out, w, first, last); });
}

// Here the sums over tiles are the result: the threads share the points of a chunk of tiles and
// deal the places, so that sums do not depend on their number.
template <class S, class T = ComputeType<S>, class E = PointOf<S>>
torch::Tensor weight_gradient(const torch::Tensor& x, const torch::Tensor& gradient) {
  constexpr int64_t together = kLanes / kSixteen<E>;  // tiles in an element
  const Image<const S> in = image_of<S>(x), out = image_of<S>(gradient);
  const int64_t all = tiles_of(x), length = std::min(kChunk, all);
  const int64_t most = (length + together - 1) / together;
  const Room<E> values(kPlaces * plane_of<E>(most * in.channels)),
      slopes(kPlaces * plane_of<E>(most * out.channels));
  const int64_t sum_plane = plane_of<T>(in.channels * out.channels);
  auto sums = torch::empty({kPlaces, sum_plane}, x.options().dtype(c10::CppTypeToScalarType<T>()));
  T* s = sums.template mutable_data_ptr<T>();
  for (int64_t start = 0; start < all; start += length) {
    const int64_t tiles = std::min(length, all - start), steps = (tiles + together - 1) / together;
    parallel_for(0, steps, kGrain / together, [&](int64_t begin, int64_t end) {
      image_to_summands(in, values.get(), tiles, start, begin, end);
      gradient_to_summands(out, slopes.get(), tiles, start, begin, end);
    });
    parallel_for(0, kPlaces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        winograd_weight_product(values.get() + p * plane_of<E>(steps * in.channels),
                                slopes.get() + p * plane_of<E>(steps * out.channels),
                                s + p * sum_plane, steps * together, in.channels, out.channels,
                                start > 0);
    });
  }
  return sums;
}

}  // namespace

torch::Tensor winograd_forward_cpu(const torch::Tensor& x, const torch::Tensor& weight, double gain,
                                   bool adjoint) {
  const int64_t in = weight.size(adjoint ? 0 : 1), out = weight.size(adjoint ? 1 : 0);
  SS_CHECK(in % kLanes == 0 && out % kLanes == 0, weight.sizes());
  const std::array<c10::IValue, 1> direct{direct_operations(x, out)};
  RECORD_FUNCTION("stylescope::winograd", direct);
  const auto image = x.contiguous(torch::MemoryFormat::ChannelsLast);
  const auto weights = winograd_weights_to_points(weight, gain, adjoint);
  auto y = torch::empty({x.size(0), out, x.size(2), x.size(3)},
                        x.options().memory_format(torch::MemoryFormat::ChannelsLast));
  with_stored_type(x.scalar_type(), [&](auto type) { forward<decltype(type)>(image, weights, y); });
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
  torch::Tensor sums;
  with_stored_type(x.scalar_type(),
                   [&](auto type) { sums = weight_gradient<decltype(type)>(image, slopes); });
  return winograd_weights_from_points(sums, out, in, gain, x.scalar_type());
}

}  // namespace stylescope::detail
