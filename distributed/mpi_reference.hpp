#pragma once

#include "distributed/collective.hpp"

namespace stylescope {

// What the communicator is measured against: the same operation in a bare loop over MPI, without
// checks, records or a monitor, over all ranks of the job. `call` is as Communicator gets it, with
// tensors in host memory. Returns seconds a call on this rank, from a barrier to the end of the
// last of `iterations` calls; 0 where there is nothing to compare: MPI does not run, has no such
// type (sums of bfloat16), or counts less far. Collective; nothing else may be under way.
//
// Where MPI's form in place differs from ours (reduce_scatter), it is MPI's, whose result is the
// beginning of `input`.
double plain_collective_seconds(const Collective& call, int64_t iterations);

}  // namespace stylescope
