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

// The filter with its gain, which is multiplied into the taps in their own precision; the identity
// if undefined.
torch::Tensor filter_with_gain(const torch::Tensor& filter, double gain, const torch::Tensor& x);

// x: float32 or float64 on the CPU. filter: [f] or [fh,fw]. No autograd.
torch::Tensor upfirdn2d_cpu(const torch::Tensor& x, const torch::Tensor& filter,
                            const UpfirdnArguments& arguments);

}  // namespace stylescope::detail
