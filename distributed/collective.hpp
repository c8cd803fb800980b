#pragma once

#include <cstdint>
#include <string>

#include <torch/torch.h>

namespace stylescope {

enum class ReduceOp { sum, mean, max, min };

// One collective operation as every layer below Communicator sees it: what backends run, what is
// compared between ranks, and what the monitor shows when a rank does not arrive. `input` and
// `output` are the same tensor where the operation is in place; a barrier has neither.
struct Collective {
  enum class Kind : uint8_t { barrier, all_reduce, broadcast, all_gather, reduce_scatter };

  Kind kind = Kind::barrier;
  ReduceOp op = ReduceOp::sum;  // all_reduce and reduce_scatter
  int root = 0;                 // broadcast
  torch::Tensor input, output;
};

// "all_reduce sum Float x 4096"; counts are those of the input.
std::string describe(const Collective& call);
std::string describe(Collective::Kind kind, ReduceOp op, int root, torch::ScalarType dtype,
                     int64_t count);
// A hash of what all ranks must agree on: number in the sequence, kind, op, root, dtype, counts.
uint64_t fingerprint(const Collective& call, uint64_t sequence);

const char* name_of(Collective::Kind kind);
const char* name_of(ReduceOp op);

}  // namespace stylescope
