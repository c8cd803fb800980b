#include "distributed/work_partition.hpp"

#include "io/base/error.hpp"

namespace stylescope {

IndexRange share_of(int64_t n, int rank, int size) {
  SS_CHECK(n >= 0 && rank >= 0 && rank < size);
  return {n * rank / size, n * (rank + 1) / size};
}

std::vector<int64_t> deal_groups(int64_t batch, int64_t group, int rank, int size) {
  SS_CHECK(group > 0 && batch % group == 0, "batch ", batch, ", group ", group);
  const int64_t columns = batch / group;
  const auto mine = share_of(columns, rank, size);
  std::vector<int64_t> samples;
  for (int64_t member = 0; member < group; ++member)
    for (int64_t column = mine.begin; column < mine.end; ++column)
      samples.push_back(member * columns + column);
  return samples;
}

}  // namespace stylescope
