#pragma once

#include "distributed/communicator.hpp"
#include "io/image_set.hpp"

#include <vector>

#include <torch/torch.h>

namespace stylescope {

// Sums over the images of a split, in integers: the same on every rank, to the last bit, however
// many there are.
struct ImageStatistics {
  int64_t images = 0;
  torch::Tensor sum, square_sum;  // (C, H, W) int64, CPU: of the bytes and of their squares

  // The mean image, (C, H, W) float64 in 0..255.
  torch::Tensor mean_image() const;
  // Per channel, of x / 255. A channel that is constant gets the deviation 1.
  std::vector<double> mean() const;
  std::vector<double> stddev() const;
};

// Each rank reads its share. Collective.
ImageStatistics image_statistics(const ImageSet& images, Split split, Communicator& world);

}  // namespace stylescope
