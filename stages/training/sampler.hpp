#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// Which image the n-th training sample shows, n counted over all steps and ranks: an endless
// sequence of epochs, each a keyed permutation of 0..size-1. A pure function of (seed, purpose, n),
// so nothing of it has to be saved to resume. The two most recent permutations are kept: a batch
// may lie across the end of an epoch.
class EpochSampler {
 public:
  // `purpose`: "stage.what", a name used nowhere else; size > 0.
  EpochSampler(uint64_t seed, std::string purpose, int64_t size);

  // The image of sample n >= 0, in 0..size-1.
  int64_t index(int64_t n);
  std::vector<int64_t> indices(at::ArrayRef<int64_t> sample_numbers);
  int64_t size() const { return size_; }

 private:
  struct Epoch {
    int64_t number = -1;
    torch::Tensor order;  // (size) int64, CPU
  };
  const torch::Tensor& order_of(int64_t epoch);

  uint64_t seed_;
  std::string purpose_;
  int64_t size_;
  std::array<Epoch, 2> epochs_;  // an epoch lies at its number modulo 2
};

}  // namespace stylescope
