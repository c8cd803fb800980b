#pragma once

#include <torch/torch.h>

namespace stylescope::html {

// (H, W) values from 0 to `top` in colours from black over violet and orange to yellow: (3, H, W)
// uint8.
torch::Tensor heat_picture(const torch::Tensor& values, double top);

// A map (H, W) in [0, 1] laid over an image (C, H, W) uint8 drawn in grey; the higher the value,
// the more of its colour: (3, H, W) uint8.
torch::Tensor overlay_picture(const torch::Tensor& image, const torch::Tensor& map);

}  // namespace stylescope::html
