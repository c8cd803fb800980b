#include "io/base/error.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_timing.hpp"

#include <algorithm>

namespace stylescope {
namespace {

// Small whole numbers, different at neighbouring places and on every rank: their sums are exact.
torch::Tensor pattern(int64_t count, const Launch& at) {
  return torch::arange(count, torch::dtype(torch::kInt64).device(at.device))
      .remainder(251)
      .to(at.dtype);
}

// What all_reduce stands against: everyone gets everything and adds it up.
double gathered_time(const Launch& at, double seconds, const torch::Tensor& mine) {
  const auto gather = [&] {
    const auto all = at.world.all_gather(mine);
    auto sum = all[0].clone();
    for (size_t i = 1; i < all.size(); ++i) sum.add_(all[i]);
  };
  return slowest(at, measure(at, seconds, {gather, [&] { at.world.all_reduce(0.0); }, {}}));
}

nlohmann::ordered_json run_size(int64_t bytes, const Launch& at, double seconds, double copy) {
  const auto ranks = static_cast<double>(at.world.size());
  const auto count = std::max<int64_t>(
      bytes / static_cast<int64_t>(torch::elementSize(
                  torch::typeMetaToScalarType(torch::scalarTypeToTypeMeta(at.dtype)))),
      1);
  const auto base = pattern(count, at);
  const auto mine = base + static_cast<double>(at.world.rank());
  const auto expected = base * ranks + ranks * (ranks - 1) / 2;
  auto values = torch::empty_like(mine);
  int64_t wrong = 0;
  const auto refill = [&] {
    values.copy_(mine);
    at.world.all_reduce(0.0);  // all ranks start at once
  };
  const auto check = [&] { wrong += values.ne(expected).sum().item<int64_t>(); };
  const auto timing = measure(at, seconds, {[&] { at.world.all_reduce(values); }, refill, check});

  const double moved = static_cast<double>(values.nbytes());
  const double average = at.world.all_reduce(timing.median) / ranks;
  const double bus = moved / average * 2 * (ranks - 1) / ranks;
  nlohmann::ordered_json row{{"bytes", static_cast<int64_t>(moved)},
                             {"count", count},
                             {"time_min", at.world.all_reduce(timing.median, ReduceOp::min) * 1e6},
                             {"time_avg", average * 1e6},
                             {"time_max", at.world.all_reduce(timing.median, ReduceOp::max) * 1e6},
                             {"algbw", moved / average / 1e9},
                             {"busbw", bus / 1e9},
                             {"of_copy", 100 * bus * ranks / copy},
                             {"gather_sum", nullptr},
                             {"calls", timing.calls},
                             {"wrong", total(at, wrong)}};
  // It needs the data of all ranks on each: left out where that is much.
  if (moved * ranks <= 256 << 20) row["gather_sum"] = gathered_time(at, seconds / 2, mine) * 1e6;
  return row;
}

}  // namespace

BenchReport bench_comm(const CommBench& bench, const Launch& at, double seconds) {
  BenchReport report;
  report.name = "comm";
  report.args = {{"operation", "all_reduce sum, in place"},
                 {"min_bytes", bench.min_bytes},
                 {"max_bytes", bench.max_bytes},
                 {"factor", bench.factor},
                 {"seconds", seconds}};
  const double copy = copy_rate(at, seconds);
  report.limits = {{"copy_GB/s", copy / 1e9}};
  report.columns = {
      {"bytes", "size", "B"},     {"count", "count", ""},      {"time_min", "min", "us"},
      {"time_avg", "avg", "us"},  {"time_max", "max", "us"},   {"algbw", "algbw", "GB/s"},
      {"busbw", "busbw", "GB/s"}, {"of_copy", "of copy", "%"}, {"gather_sum", "gather+sum", "us"},
      {"calls", "calls", ""},     {"wrong", "#wrong", ""}};
  for (int64_t bytes = bench.min_bytes; bytes <= bench.max_bytes; bytes *= bench.factor)
    report.rows.push_back(run_size(bytes, at, seconds, copy));
  report.notes = {
      "min, avg, max: over the ranks, of each rank's median; of copy: busbw against a "
      "rank's share of the memory copy"};
  if (at.world.size() == 1)
    report.notes.push_back("one rank: nothing is moved; start with mpirun -n N for figures");
  return report;
}

}  // namespace stylescope
