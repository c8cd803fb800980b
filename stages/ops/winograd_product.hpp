#pragma once

#include <cstdint>
#include <type_traits>

// The matrix products of Winograd's convolution, at one of its 36 points. Channels lie in sixteens:
// values are [channels/16][tiles][16], weights and their sums [out/16][in][16]. An order of its own
// because LibTorch's product (MKL's) reaches less than half of an AMD core's arithmetic.
namespace stylescope::detail {

// Two bfloat16, the first in the lower half: what one instruction (AVX512_BF16) multiplies with two
// others and adds to a float. Processors without it take as long as for float.
using BfloatPair = uint32_t;

constexpr int64_t kLanes = 16;
// Elements that hold sixteen channels of a tile.
template <class E>
constexpr int64_t kSixteen = std::is_same_v<E, BfloatPair> ? kLanes / 2 : kLanes;

// products[out/16][tiles][16] = values[in/16][tiles][16] * weights. Pairs are of neighbours among
// the `in` channels: values are [in/16][tiles][8] pairs, weights [out/16][in/2][16].
void winograd_product(const float* values, const float* weights, float* products, int64_t tiles,
                      int64_t in, int64_t out);
void winograd_product(const double* values, const double* weights, double* products, int64_t tiles,
                      int64_t in, int64_t out);
void winograd_product(const BfloatPair* values, const BfloatPair* weights, float* products,
                      int64_t tiles, int64_t in, int64_t out);

// sums (+)= sum over tiles of values[..][tile] x slopes[..][tile]. `add`: to what is there. Pairs
// are of neighbours among the tiles, whose number is even: both are [channels/16][tiles/2][16].
void winograd_weight_product(const float* values, const float* slopes, float* sums, int64_t tiles,
                             int64_t in, int64_t out, bool add);
void winograd_weight_product(const double* values, const double* slopes, double* sums,
                             int64_t tiles, int64_t in, int64_t out, bool add);
void winograd_weight_product(const BfloatPair* values, const BfloatPair* slopes, float* sums,
                             int64_t tiles, int64_t in, int64_t out, bool add);

}  // namespace stylescope::detail
