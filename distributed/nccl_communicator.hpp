#pragma once

#include "distributed/communicator.hpp"
#include "distributed/gpu_functions.hpp"

#include <memory>

namespace stylescope {

struct NcclOptions {
  double init_seconds = 120;  // until all ranks' GPUs have found each other
  Deadlines deadlines;        // as given to the host's communicator
};

// The ranks of `host`, whose tensors in GPU memory go by NCCL, on a stream of its own beside the
// one that LibTorch computes on. `host` (MPI, or a world of one) carries everything else: tensors
// in host memory, barriers, the end of the job, and the comparison of what the ranks enter. It and
// `gpu` must live longer, and the rank uses no other part of `host` at the same time.
//
// Collective. Makes `device` the thread's current one; a process has one GPU. Throws Error on all
// ranks when one cannot use its GPU, or when NCCL does not get them together in time.
std::unique_ptr<Communicator> make_nccl_communicator(Communicator& host, const GpuFunctions& gpu,
                                                     int device, NcclOptions options = {});

}  // namespace stylescope
