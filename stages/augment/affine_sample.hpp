#pragma once

#include "stages/augment/plan.hpp"

#include <cstdint>
#include <vector>

#include <torch/types.h>

namespace stylescope {

// Images resampled bilinearly at the places that affine maps give: pixel (x, y) of result i, in
// pixels from its centre, shows what lies at maps[i](x, y), in pixels from the centre of image i;
// beyond the image is 0. images: (n, C, H, W), floating, any device; the result is
// (n, C, height, width). Linear in the images and differentiable in them to any order (grid_sample
// of LibTorch has no second derivative in some of its versions). On the CPU in float32 and float64
// a result's bits depend neither on the other images nor on the number of threads.
torch::Tensor affine_sample(const torch::Tensor& images, const std::vector<AffineMap>& maps,
                            int64_t height, int64_t width);

// The same without derivatives, by LibTorch's grid_sampler_2d: what runs on other devices than the
// CPU, and the independent reference of the tests. `adjoint`: from (n, C, height, width) back to
// images of rows x columns.
torch::Tensor affine_sample_plain(const torch::Tensor& images, const std::vector<AffineMap>& maps,
                                  int64_t height, int64_t width);
torch::Tensor affine_sample_adjoint_plain(const torch::Tensor& gradient,
                                          const std::vector<AffineMap>& maps, int64_t rows,
                                          int64_t columns);

}  // namespace stylescope
