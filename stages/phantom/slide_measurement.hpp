#pragma once

#include <torch/torch.h>

// What is measured in a tile of a slide phantom, drawn or generated, from its pixels alone.
namespace stylescope {

struct SlidePhantomMeasurement {
  double nuclear_size = 0;  // mean diameter of nuclei, micrometres: follows the cause of the label
  double stain = 0;         // strength of haematoxylin, 1: nominal: a nuisance
};

// tile: (3, H, W) uint8 RGB, at least 16 x 16 micrometres and 16 x 16 pixels; `mpp` its micrometres
// a pixel, 0.1..2. Never throws on account of what the tile shows; without haematoxylin both are 0.
SlidePhantomMeasurement measure_slide_tile(const torch::Tensor& tile, double mpp);

}  // namespace stylescope
