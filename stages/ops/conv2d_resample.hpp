#pragma once

#include "stages/ops/upfirdn2d.hpp"

#include <torch/types.h>

namespace stylescope {

// Convolution of an image that is resampled on the way: [N,I,H,W] -> [N,O,H*up/down,W*up/down] for
// the usual padding k/2. weight: [O,I,kh,kw]; filter: as upfirdn2d; padding: that of the
// convolution, counted in pixels of the upsampled image (what the filter needs is added here).
// `correlate`: ordinary cross-correlation; false: true convolution (what StyleGAN2's up-sampling
// layer does). Same value as upsample2d, convolution, downsample2d one after the other, in the
// cheapest order: up 2 is a transposed convolution, then the filter; down 2 the filter, then a
// strided convolution.
torch::Tensor conv2d_resample(const torch::Tensor& x, const torch::Tensor& weight,
                              const torch::Tensor& filter, int64_t up = 1, int64_t down = 1,
                              Padding padding = {}, bool correlate = true);

// The same in plain LibTorch operations (upfirdn2d_plain), in NCHW. `groups`: of channels, as
// conv2d's; then weight is [O,I/groups,kh,kw].
torch::Tensor conv2d_resample_plain(const torch::Tensor& x, const torch::Tensor& weight,
                                    const torch::Tensor& filter, int64_t up = 1, int64_t down = 1,
                                    Padding padding = {}, bool correlate = true,
                                    int64_t groups = 1);

}  // namespace stylescope
