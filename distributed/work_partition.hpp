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
// the global sample indices of this rank in rounds of at most `limit` samples (0: all in one),
// which it works on one after the other; each is ordered so that the same rule applied to the round
// gives the same groups. `batch` and `limit` are multiples of `group`. May be empty.
std::vector<std::vector<int64_t>> deal_rounds(int64_t batch, int64_t group, int64_t limit, int rank,
                                              int size);
// The one round without a limit.
std::vector<int64_t> deal_groups(int64_t batch, int64_t group, int rank, int size);

}  // namespace stylescope
