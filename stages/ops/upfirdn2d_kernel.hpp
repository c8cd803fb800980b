#pragma once

#include "stages/ops/upfirdn2d.hpp"

#include <torch/types.h>

// The polyphase CPU kernel behind upfirdn2d (no zeros are inserted, no padded copy of the image is
// made).
namespace stylescope::detail {

struct UpfirdnArguments {
  Factor up, down;
  Padding pad;
  bool flip = false;
};

// Rows and columns of the result; throws Error if there are none.
struct ImageSize {
  int64_t height, width;
};
ImageSize upfirdn_size(const torch::Tensor& x, const torch::Tensor& filter,
                       const UpfirdnArguments& arguments);

// The adjoint of the operator is the operator: factors exchanged, the filter mirrored, and paddings
// such that the result has the input's size. So one function serves every order of differentiation.
UpfirdnArguments upfirdn_adjoint(const UpfirdnArguments& arguments, const torch::Tensor& filter,
                                 ImageSize in, ImageSize out);

// The filter with its gain, which is multiplied into the taps in their own precision; the identity
// if undefined.
torch::Tensor filter_with_gain(const torch::Tensor& filter, double gain, const torch::Tensor& x);

// x: float32, float64 or bfloat16 (computed in float32; each term of a filter that is no outer
// product, and each tap beyond six, rounds once more) on the CPU. filter: [f] or [fh,fw]. No
// autograd.
torch::Tensor upfirdn2d_cpu(const torch::Tensor& x, const torch::Tensor& filter,
                            const UpfirdnArguments& arguments);

}  // namespace stylescope::detail
