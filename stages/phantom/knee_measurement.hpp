#pragma once

#include <torch/torch.h>

// What is measured in a picture of a knee phantom, drawn or generated, from its pixels alone.
// `image` is (C, H, W) uint8, H = W >= 16; channels are averaged. Both are corrected for exposure
// by the brightness of bone and of soft tissue in the same picture, and neither ever throws on
// account of what the picture shows.
namespace stylescope {

// Width of the joint space, in fractions of the image's height: the darkness missing from the bone
// along the columns through both condyles, integrated, so that fractions of a pixel count.
double measure_joint_width(const torch::Tensor& image);

// Brightness of the marker disc, about 0..1.
double measure_nuisance(const torch::Tensor& image);

}  // namespace stylescope
