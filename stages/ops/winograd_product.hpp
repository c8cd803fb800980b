#pragma once

#include <cstdint>

// The matrix products of Winograd's convolution, at one of its 36 points. Channels lie in sixteens:
// values are [channels/16][tiles][16], weights and their sums [out/16][in][16]. An order of its own
// because LibTorch's product (MKL's) reaches less than half of an AMD core's arithmetic.
namespace stylescope::detail {

// products[out/16][tiles][16] = values[in/16][tiles][16] * weights.
void winograd_product(const float* values, const float* weights, float* products, int64_t tiles,
                      int64_t in, int64_t out);
void winograd_product(const double* values, const double* weights, double* products, int64_t tiles,
                      int64_t in, int64_t out);

// sums (+)= sum over tiles of values[..][tile] x slopes[..][tile]. `add`: to what is there.
void winograd_weight_product(const float* values, const float* slopes, float* sums, int64_t tiles,
                             int64_t in, int64_t out, bool add);
void winograd_weight_product(const double* values, const double* slopes, double* sums,
                             int64_t tiles, int64_t in, int64_t out, bool add);

}  // namespace stylescope::detail
