#include "distributed/work_partition.hpp"

#include "io/base/error.hpp"

#include <algorithm>

namespace stylescope {

IndexRange share_of(int64_t n, int rank, int size) {
  SS_CHECK(n >= 0 && rank >= 0 && rank < size);
  return {n * rank / size, n * (rank + 1) / size};
}

std::vector<std::vector<int64_t>> deal_rounds(int64_t batch, int64_t group, int64_t limit, int rank,
                                              int size) {
  SS_CHECK(group > 0 && batch % group == 0, "batch ", batch, ", group ", group);
  SS_CHECK(limit >= 0 && limit % group == 0, "at most ", limit, " at a time, group ", group);
  const int64_t columns = batch / group;
  const auto mine = share_of(columns, rank, size);
  const int64_t at_a_time = limit > 0 ? limit / group : std::max<int64_t>(mine.size(), 1);
  std::vector<std::vector<int64_t>> rounds;
  for (int64_t first = mine.begin; first < mine.end; first += at_a_time) {
    const int64_t last = std::min(first + at_a_time, mine.end);
    auto& samples = rounds.emplace_back();
    for (int64_t member = 0; member < group; ++member)
      for (int64_t column = first; column < last; ++column)
        samples.push_back(member * columns + column);
  }
  return rounds;
}

std::vector<int64_t> deal_groups(int64_t batch, int64_t group, int rank, int size) {
  const auto rounds = deal_rounds(batch, group, 0, rank, size);
  return rounds.empty() ? std::vector<int64_t>{} : rounds.front();
}

}  // namespace stylescope
