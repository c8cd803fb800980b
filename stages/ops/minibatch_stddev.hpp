#pragma once

#include <torch/types.h>

namespace stylescope {

// Appends the standard deviation over groups of samples as feature maps (Karras et al. 2018,
// "Progressive Growing of GANs", section 3). x: [N,C,H,W] -> [N,C+channels,H,W]. Groups have G =
// min(group, N) samples, N must be a multiple of G: sample i belongs to group i mod (N/G). Within a
// group and for each of `channels` equal parts of C (which must divide C): sqrt(variance over the
// group (divided by G) + 1e-8), averaged over the part and all pixels.
torch::Tensor minibatch_stddev(const torch::Tensor& x, int64_t group, int64_t channels = 1);

}  // namespace stylescope
