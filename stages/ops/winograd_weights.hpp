#pragma once

#include <torch/types.h>

// The 3x3 weights of Winograd's convolution, to and from their values at the 36 points.
namespace stylescope::detail {

// weight: [O,I,3,3], times gain -> [36, plane_of(one point's)], at each point as winograd_product
// takes it: [O/16][I][16] float32 or float64, or, of a bfloat16 weight, [O/16][I/2][16] pairs
// (uint32). `adjoint`: mirrored in both directions, and O and I change places. O and I are
// multiples of 16.
torch::Tensor winograd_weights_to_points(const torch::Tensor& weight, double gain, bool adjoint);

// The adjoint of that, of sums [36, plane_of(O * I)] float32 or float64 -> [O,I,3,3] of `type`.
torch::Tensor winograd_weights_from_points(const torch::Tensor& sums, int64_t out, int64_t in,
                                           double gain, torch::Dtype type);

}  // namespace stylescope::detail
