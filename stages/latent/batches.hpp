#pragma once

#include "distributed/work_partition.hpp"
#include "stages/run_context.hpp"

#include <functional>
#include <string>

#include <torch/torch.h>

// Work on samples 0..n-1 in batches, spread over the ranks. Batches are cut at the same places
// whatever the number of ranks and dealt whole, so that every sample meets the same neighbours in
// its batch: the results have the same bits.
namespace stylescope {

// The rank's contiguous samples: whole batches (the last one may be short). May be empty.
IndexRange whole_batches(int64_t n, int64_t batch, int rank, int size);

// Calls work(samples of one batch) for every batch of this rank, shows the progress, and throws
// Interrupted on all ranks when a stop was asked for. Collective: `work` itself must not
// communicate. `title` must live as long as the program (a literal).
void for_each_batch(RunContext& context, const char* title, int64_t n, int64_t batch,
                    const std::function<void(IndexRange)>& work);

// What the ranks hold of (n, ...), in rank order, on the CPU of every rank. Ranks without a row
// pass an empty tensor with the same number of axes and dtype. Collective.
torch::Tensor gather_rows(Communicator& world, const torch::Tensor& rows);

// begin, begin + 1, ..., end - 1.
std::vector<int64_t> indices_of(IndexRange range);

}  // namespace stylescope
