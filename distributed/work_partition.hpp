#pragma once

#include <cstdint>
#include <vector>

// Who does what. Pure functions of (rank, size): the same answer on every rank, no communication.
namespace stylescope {

struct IndexRange {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};

// The rank's contiguous share of 0..n-1; shares differ by at most one and may be empty.
IndexRange share_of(int64_t n, int rank, int size);

// A global batch made of groups that must stay together on one rank (minibatch stddev, batch norm).
// Group c of C holds the samples c, c + C, c + 2C, ... (StyleGAN2's interleaved groups). Returns
// the global sample indices of this rank, ordered so that the same rule applied to the local batch
// gives the same groups. `batch` is a multiple of `group`. May be empty.
std::vector<int64_t> deal_groups(int64_t batch, int64_t group, int rank, int size);

}  // namespace stylescope
