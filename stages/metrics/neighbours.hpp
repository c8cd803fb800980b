#pragma once

#include "distributed/communicator.hpp"

#include <cstdint>

#include <torch/torch.h>

// Euclidean neighbours among features. Worked on block by block (queries x points at a time, in
// float64), the blocks dealt to the ranks: every rank passes the same features and gets the same
// result, in the same bits on any number of ranks. All calls are collective.
namespace stylescope {

struct Nearest {
  torch::Tensor distance;  // (N, k) float64, ascending
  torch::Tensor index;     // (N, k) int64: rows of the points
};

// The k nearest points (M, D) of each query (N, D). Throws Error unless M >= k.
Nearest nearest_points(const torch::Tensor& queries, const torch::Tensor& points, int64_t k,
                       Communicator& world);
// Of each point among the others. Throws Error unless N > k.
Nearest nearest_others(const torch::Tensor& points, int64_t k, Communicator& world);

// Improved precision and recall (Kynkaanniemi et al. 2019): a set's manifold is the union of the
// balls around its images that reach to their k-th nearest other. Precision: the share of generated
// images (N, D) that lie in the real ones' (M, D); recall: the other way round. Throws Error unless
// M > k and N > k. Distances below 1e-7 of the features' spread count as zero.
struct PrecisionRecall {
  double precision = 0, recall = 0;
};
PrecisionRecall precision_recall(const torch::Tensor& real, const torch::Tensor& generated,
                                 int64_t k, Communicator& world);

}  // namespace stylescope
