#pragma once

#include "distributed/communicator.hpp"

#include <cstdint>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// A generated image beside the training image that is nearest to it in the features.
struct Suspect {
  int64_t generated = 0;  // its sample number
  int64_t nearest = 0;    // row of the real features
  int64_t next = 0;       // of the training image nearest to that one, copies of it left out
  double distance = 0;    // generated - nearest
  double usual = 0;       // nearest - next
  double ratio = 0;       // distance / usual: far below 1 for a copy; 0 for an exact one
  double quantile = 0;    // share of the training images that have another one nearer than distance
};

struct Memorisation {
  // The share of generated images that lie nearer to their nearest training image than that one to
  // its own nearest, copies left out (Alaa et al. 2022, "How faithful is your synthetic data?", 1 -
  // authenticity): about 1/2 for images that are as good as new ones from the same source, towards
  // 1 for copies.
  double nearer_than_usual = 0;
  double median_distance = 0;     // of generated images to their nearest training images
  double median_usual = 0;        // of training images to their nearest others that are no copies
  std::vector<Suspect> suspects;  // of the smallest ratios, ascending
};

// Real features (M, D), M >= 2, and generated ones (N, D), the same on every rank; so is the
// result. Throws Error for fewer than 2 real images. Collective.
Memorisation find_memorised(const torch::Tensor& real, const torch::Tensor& generated,
                            int64_t suspects, Communicator& world);

}  // namespace stylescope
