#pragma once

#include "distributed/communicator.hpp"

#include <cstdint>

#include <torch/torch.h>

// How long a collective takes, beside the same operation in a plain MPI loop.
namespace stylescope {

struct CommCase {
  Collective::Kind kind = Collective::Kind::all_reduce;
  torch::Dtype dtype = torch::kFloat32;
  torch::Device device = torch::kCPU;
  bool in_place = true;
  // Elements that a rank gives (all_reduce, broadcast, all_gather) or gets (reduce_scatter).
  int64_t count = 0;
};

// Bytes of the largest tensor of the operation, which nccl-tests calls its size.
double bytes_of(const CommCase& test, int64_t ranks);

struct CommTiming {
  double seconds = 0;            // of a call
  double plain = 0;              // of a call in the plain loop; 0: none
  double overhead = 0;           // seconds; the median of what neighbouring batches differ by
  int64_t calls = 0, wrong = 0;  // wrong: values of all ranks that are not what they should be
};

// Batches of calls, ours and plain in turn (which is first changes too), each from a barrier to the
// end of the last call on the slowest rank; medians. `plain`: also the plain loop, where there is
// one; only where `world` is the whole job. Around each batch a result is checked. What would grow
// when repeated (reductions in place) is timed on zeros and checked on numbers. Collective.
CommTiming time_collective(Communicator& world, const CommCase& test, double seconds, bool plain);

}  // namespace stylescope
