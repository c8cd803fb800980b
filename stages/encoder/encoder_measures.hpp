#pragma once

#include "distributed/work_partition.hpp"
#include "io/image_set.hpp"
#include "io/pair_set.hpp"
#include "stages/networks/encoder.hpp"
#include "stages/networks/generator.hpp"
#include "stages/run_context.hpp"

#include <torch/torch.h>

// How good an encoder is. Every function is collective and gives the same numbers on every rank.
namespace stylescope {

// Coefficient of determination of E(G(w)) against w.
struct Determination {
  double pooled = 0;  // 1 - sum of squared errors / sum of squared deviations from the mean, over
                      // all dimensions
  double mean = 0;    // of the dimensions' own R2
  double median = 0;
};
// On the pairs of this range. w: all of them, (N, w_dim), CPU. Dimensions that do not vary are left
// out.
Determination determination(Encoder& encoder, const PairSet& pairs, const torch::Tensor& w,
                            IndexRange range, int64_t batch, Communicator& world);

// Mean differences between pictures, in grey levels 0..255.
struct PictureError {
  double absolute = 0;
  double square = 0;
};
// G(E(x)) (constant noise, psi 1, as an 8-bit picture) against x, and the mean training image
// against x, over the validation images, of which there is at least one.
struct Reconstruction {
  PictureError encoded, baseline;
};
Reconstruction reconstruction(Encoder& encoder, Generator& generator, const ImageSet& images,
                              int64_t batch, Communicator& world);

}  // namespace stylescope
