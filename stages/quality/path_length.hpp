#pragma once

#include "stages/quality/feature_network.hpp"
#include "stages/quality/generated_images.hpp"
#include "stages/run_context.hpp"

#include <cstdint>

#include <torch/torch.h>

namespace stylescope {

// The mean of those distances (n) that lie from the 1st (or the next below) to the 99th percentile
// (or the next above).
double mean_without_tails(const torch::Tensor& distances);

// Perceptual path length in W at the ends of paths (Karras et al. 2019, section 4.1, with the
// changes of Karras et al. 2020: t = 0): squared distances (FeatureNetwork::squared_distances) of
// G(w0) and G(w0 + epsilon (w1 - w0)), over epsilon^2, tails left out. epsilon is 1e-4. The same on
// every rank. Collective.
double path_length(GeneratedImages& source, FeatureNetwork& network, int64_t samples, int64_t batch,
                   RunContext& context);

}  // namespace stylescope
