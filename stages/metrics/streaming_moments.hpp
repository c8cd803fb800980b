#pragma once

#include "distributed/communicator.hpp"
#include "stages/metrics/frechet.hpp"

#include <cstdint>

#include <torch/torch.h>

namespace stylescope {

// Mean and covariance of features that come in pieces, in float64 and in one pass (Chan, Golub and
// LeVeque 1979): the pieces, their order and who met them change the result by rounding alone.
class StreamingMoments {
 public:
  explicit StreamingMoments(int64_t dimensions);

  // features: (n, dimensions), of any dtype and device; n may be 0.
  void add(const torch::Tensor& features);
  void merge(const StreamingMoments& other);
  // What all ranks have met, on each of them. Collective.
  void reduce(Communicator& world);

  int64_t count() const { return count_; }
  int64_t dimensions() const { return mean_.numel(); }
  // Divided by count - ddof. Throws Error unless count > ddof.
  Moments moments(int64_t ddof) const;

 private:
  int64_t count_ = 0;
  torch::Tensor mean_;     // (D)
  torch::Tensor scatter_;  // (D, D): sum of (x - mean)(x - mean)^T
};

}  // namespace stylescope
