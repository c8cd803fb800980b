#pragma once

#include "distributed/communicator.hpp"

#include <cstdint>

#include <torch/torch.h>

namespace stylescope {

// Unbiased estimate of the squared maximum mean discrepancy of two samples (m, D) and (n, D), m, n
// >= 2, with the polynomial kernel k(x, y) = (x.y / D + 1)^3 (Binkowski et al. 2018, section 3:
// KID, when the features are Inception's). May be negative. float64.
double squared_mmd(const torch::Tensor& x, const torch::Tensor& y);

struct KernelDistance {
  double mean = 0;
  // Of the subsets' estimates. They overlap: it shows how far one subset's estimate lies from
  // another's, and is no standard error. NaN where there was one subset.
  double deviation = 0;
  int64_t subsets = 0, subset_size = 0;
};

struct KernelDistanceOptions {
  int64_t subsets = 100;
  int64_t subset_size = 1000;  // at most; and at most as many as there are of either kind
  uint64_t seed = 0;
};

// The mean of squared_mmd over random subsets without repetition, drawn for (seed, subset) and
// dealt to the ranks, all of which hold the same real (M, D) and generated (N, D). Where a subset
// takes all images of both kinds, one is enough. Throws Error for fewer than 2 images of a kind.
// Collective.
KernelDistance kernel_distance(const torch::Tensor& real, const torch::Tensor& generated,
                               const KernelDistanceOptions& options, Communicator& world);

}  // namespace stylescope
