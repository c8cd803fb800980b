#pragma once

#include "distributed/communicator.hpp"
#include "distributed/gradient_reducer.hpp"
#include "io/base/fields.hpp"

namespace stylescope {

// How the ranks of a run work together. What comes out differs by rounding at most: no stage runs
// again because of it.
struct DistributedConfig {
  double deadline = 600;
  double long_work_deadline = 21600;
  double stop_deadline = 120;
  std::string backend = "auto";
  ReducerOptions reduction;

  void describe(Fields& f) {
    f.field("deadline", deadline, {1, 1e7},
            "seconds in a collective, or without a sign of life, before a rank is taken for lost");
    f.field("long_work_deadline", long_work_deadline, {1, 1e7},
            "the same where ranks wait for one that has work of its own (files, slides)");
    f.field("stop_deadline", stop_deadline, {1, 1e7},
            "seconds from a stop signal to the end of the step; then the run leaves with its last "
            "checkpoint");
    f.choice("backend", backend, {"auto", "mpi", "nccl"},
             "what moves tensors of GPUs between ranks; auto: NCCL where it can");
    f.section("reduction", reduction, "of gradients, over the ranks");
  }
  Deadlines deadlines() const { return {deadline, long_work_deadline}; }
};

}  // namespace stylescope
