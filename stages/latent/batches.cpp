#include "stages/latent/batches.hpp"

#include "io/base/error.hpp"
#include "stages/training/progress.hpp"

#include <algorithm>
#include <numeric>

namespace stylescope {

IndexRange whole_batches(int64_t n, int64_t batch, int rank, int size) {
  SS_CHECK(batch > 0);
  const auto batches = share_of((n + batch - 1) / batch, rank, size);
  return {std::min(batches.begin * batch, n), std::min(batches.end * batch, n)};
}

void for_each_batch(RunContext& context, const char* title, int64_t n, int64_t batch,
                    const std::function<void(IndexRange)>& work) {
  auto& world = context.world;
  const auto mine = whole_batches(n, batch, world.rank(), world.size());
  // The same number of steps on every rank: they agree at each on whether to stop.
  const int64_t batches = (n + batch - 1) / batch;
  const int64_t steps = (batches + world.size() - 1) / world.size();
  Progress progress(title, steps, batch * world.size(), "img", world.is_root(),
                    context.progress_file);
  for (int64_t step = 0; step < steps; ++step) {
    world.doing(title, step);
    const int64_t begin = mine.begin + step * batch;
    if (begin < mine.end) work({begin, std::min(begin + batch, mine.end)});
    if (context.stop.agreed(world))
      throw Interrupted(std::string(title) +
                        ": stopped before it was done; run again, and it starts anew");
    progress.update(step + 1, {});
  }
}

torch::Tensor gather_rows(Communicator& world, const torch::Tensor& rows) {
  return torch::cat(world.all_gather(rows.cpu().contiguous()));
}

std::vector<int64_t> indices_of(IndexRange range) {
  std::vector<int64_t> indices(static_cast<size_t>(range.size()));
  std::iota(indices.begin(), indices.end(), range.begin);
  return indices;
}

}  // namespace stylescope
