#pragma once

#include <cstdint>
#include <functional>

#include <torch/torch.h>

namespace stylescope {

// Where an f that is known by its answers alone looks (Zeiler and Fergus 2014, section 4.2): square
// patches of an n-th of the side, half a patch apart, are painted over with the image's mean
// colour, one at a time, and f is asked again. The map tells for each pixel by how much |f(x) -
// f(x covered)| changed, averaged over the patches that lie on it: (H, W) float32 in [0, 1]. At
// most (2 n - 1)^2 images, `batch` at a time. image: (C, H, W) uint8, H = W; f: (k, C, H, W) uint8
// -> (k) float64.
torch::Tensor occlusion_map(const torch::Tensor& image, int64_t patches, int64_t batch,
                            const std::function<torch::Tensor(const torch::Tensor&)>& f);

}  // namespace stylescope
