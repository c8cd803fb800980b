#include "io/base/error.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_timing.hpp"
#include "pipeline/comm_model.hpp"
#include "pipeline/comm_timing.hpp"

#include <algorithm>
#include <map>

namespace stylescope {
namespace {

using Json = nlohmann::ordered_json;
using Kind = Collective::Kind;
constexpr Kind kKinds[] = {Kind::all_reduce, Kind::broadcast, Kind::all_gather,
                           Kind::reduce_scatter, Kind::barrier};

// A way for tensors to go between the ranks.
struct Backend {
  std::string name;
  Communicator& world;
  torch::Device device;
  bool beside_plain_mpi;  // the plain loop does the same
};

std::vector<Backend> backends_of(const Launch& at) {
  const auto by_host = [&](Communicator& world, torch::Device device) {
    return Backend{world.backend(), world, device,
                   device.is_cpu() && std::string(world.backend()) == "mpi"};
  };
  if (!at.nccl) return {by_host(at.world, at.device)};
  return {{"nccl", *at.nccl, at.device, false}, by_host(*at.host, torch::kCPU)};
}

bool chosen(const CommBench& bench, Kind kind) {
  const auto& names = bench.collectives;
  return names.empty() || std::find(names.begin(), names.end(), name_of(kind)) != names.end();
}

torch::Dtype dtype_of(const CommBench& bench, const Launch& at) {
  if (bench.type == "bfloat16") return torch::kBFloat16;
  return bench.type.empty() ? at.dtype : stylescope::dtype_of(bench.type);
}

// The figures of a case under a prefix; null where there is no such case.
void add_figures(Json& row, const std::string& prefix, const CommCase& test, int64_t ranks,
                 const CommTiming* timing) {
  for (const char* key :
       {"time", "algbw", "busbw", "plain", "over_us", "over_percent", "calls", "wrong"})
    row[prefix + key] = nullptr;
  if (!timing) return;
  row[prefix + "time"] = timing->seconds * 1e6;
  row[prefix + "calls"] = timing->calls;
  row[prefix + "wrong"] = timing->wrong;
  row["wrong"] = row.value("wrong", int64_t{0}) + timing->wrong;
  if (test.kind != Kind::barrier) {
    const double rate = bytes_of(test, ranks) / timing->seconds / 1e9;
    row[prefix + "algbw"] = rate;
    row[prefix + "busbw"] = rate * bus_factor(test.kind, ranks);
  }
  if (timing->plain <= 0) return;
  row[prefix + "plain"] = timing->plain * 1e6;
  row[prefix + "over_us"] = timing->overhead * 1e6;
  row[prefix + "over_percent"] = 100 * timing->overhead / timing->plain;
}

Json head_of(const Backend& backend, const CommCase& test) {
  const bool data = test.kind != Kind::barrier;
  const bool adds = test.kind == Kind::all_reduce || test.kind == Kind::reduce_scatter;
  return {{"collective", name_of(test.kind)},
          {"backend", backend.name},
          {"bytes", static_cast<int64_t>(bytes_of(test, backend.world.size()))},
          {"count", test.count},
          {"type", data ? type_name(test.dtype) : "-"},
          {"op", adds ? "sum" : "-"},
          {"root", test.kind == Kind::broadcast ? 0 : -1}};
}

Json run_size(const Backend& backend, Kind kind, torch::Dtype dtype, int64_t bytes,
              double seconds) {
  const int64_t ranks = backend.world.size();
  const auto width = static_cast<int64_t>(torch::elementSize(dtype));
  const bool parts = kind == Kind::all_gather || kind == Kind::reduce_scatter;
  CommCase test{kind, dtype, backend.device, true, 0};
  if (kind != Kind::barrier) test.count = std::max<int64_t>(bytes / width / (parts ? ranks : 1), 1);
  Json row = head_of(backend, test);
  // A broadcast has one tensor, a barrier none.
  const bool both = kind != Kind::broadcast && kind != Kind::barrier;
  const double each = both ? seconds / 2 : seconds;
  CommTiming timing;
  if (both) {
    test.in_place = false;
    timing = time_collective(backend.world, test, each, backend.beside_plain_mpi);
  }
  add_figures(row, "out_", test, ranks, both ? &timing : nullptr);
  test.in_place = true;
  timing = time_collective(backend.world, test, each, backend.beside_plain_mpi);
  add_figures(row, "in_", test, ranks, &timing);
  return row;
}

// What a network's gradient costs, message by message and all of them one after another.
void add_messages(std::vector<Json>& rows, const Backend& backend, const GradientMessages& messages,
                  torch::Dtype dtype, double seconds) {
  const int64_t ranks = backend.world.size();
  std::map<int64_t, CommTiming> known;  // by count
  CommTiming sum;
  double bytes = 0;
  for (size_t i = 0; i < messages.counts.size(); ++i) {
    const CommCase test{Kind::all_reduce, dtype, backend.device, true, messages.counts[i]};
    if (!known.contains(test.count))
      known[test.count] = time_collective(backend.world, test, seconds, backend.beside_plain_mpi);
    const auto& timing = known[test.count];
    Json row{{"network", messages.network}, {"bucket", std::to_string(i + 1)},
             {"backend", backend.name},     {"bytes", static_cast<int64_t>(bytes_of(test, ranks))},
             {"count", test.count},         {"type", type_name(dtype)}};
    add_figures(row, "in_", test, ranks, &timing);
    rows.push_back(row);
    bytes += bytes_of(test, ranks);
    sum.seconds += timing.seconds, sum.plain += timing.plain, sum.overhead += timing.overhead;
    sum.calls += timing.calls;
  }
  Json row = rows.back();
  row["bucket"] = "all";
  row["bytes"] = static_cast<int64_t>(bytes);
  row["count"] = static_cast<int64_t>(bytes / static_cast<double>(torch::elementSize(dtype)));
  const CommCase all{Kind::all_reduce, dtype, backend.device, true, row["count"].get<int64_t>()};
  row["wrong"] = 0;  // counted above
  add_figures(row, "in_", all, ranks, &sum);
  rows.push_back(row);
}

std::vector<BenchColumn> figure_columns(const std::string& prefix, const std::string& before) {
  return {{prefix + "time", before + "time", "us"},
          {prefix + "algbw", "algbw", "GB/s"},
          {prefix + "busbw", "busbw", "GB/s"},
          {prefix + "wrong", "#wrong", ""}};
}
void append(std::vector<BenchColumn>& columns, const std::vector<BenchColumn>& more) {
  columns.insert(columns.end(), more.begin(), more.end());
}
const std::vector<BenchColumn> kAgainstPlain{{"in_plain", "plain MPI", "us"},
                                             {"in_over_us", "over", "us"},
                                             {"in_over_percent", "over", "%"}};

}  // namespace

BenchReport bench_comm(const CommBench& bench, const Launch& at, double seconds) {
  const auto dtype = dtype_of(bench, at);
  BenchReport report;
  report.name = "comm";
  report.args = {{"min_bytes", bench.min_bytes},
                 {"max_bytes", bench.max_bytes},
                 {"factor", bench.factor},
                 {"type", type_name(dtype)},
                 {"seconds", seconds}};
  report.limits = {{"copy_GB/s", copy_rate(at, seconds) / 1e9}};
  report.columns = {{"collective", "collective", ""},
                    {"backend", "backend", ""},
                    {"bytes", "size", "B"},
                    {"count", "count", ""},
                    {"type", "type", ""},
                    {"op", "op", ""},
                    {"root", "root", ""}};
  append(report.columns, figure_columns("out_", "out of place: "));
  append(report.columns, figure_columns("in_", "in place: "));
  append(report.columns, kAgainstPlain);
  BenchTable gradients{"gradients", "Gradients of the model, all_reduced in place", {}, {}};
  gradients.columns = {{"network", "network", ""}, {"bucket", "bucket", ""},
                       {"backend", "backend", ""}, {"bytes", "size", "B"},
                       {"count", "count", ""},     {"type", "type", ""}};
  append(gradients.columns, figure_columns("in_", ""));
  append(gradients.columns, kAgainstPlain);

  for (const auto& backend : backends_of(at)) {
    for (const Kind kind : kKinds) {
      if (!chosen(bench, kind)) continue;
      for (int64_t bytes = bench.min_bytes; bytes <= bench.max_bytes; bytes *= bench.factor) {
        report.rows.push_back(run_size(backend, kind, dtype, bytes, seconds));
        if (kind == Kind::barrier) break;
      }
    }
    if (bench.networks && chosen(bench, Kind::all_reduce))
      for (const auto& messages : gradient_messages(*bench.networks, torch::elementSize(dtype)))
        add_messages(gradients.rows, backend, messages, dtype, seconds / 4);
  }
  if (!gradients.rows.empty()) report.more.push_back(std::move(gradients));
  report.notes = {
      "size: all_reduce, broadcast: of the tensor; all_gather: of what a rank ends with; "
      "reduce_scatter: of what a rank starts with; count: elements that a rank gives "
      "(reduce_scatter: gets)",
      "algbw = size / time; busbw = algbw x 2 (n-1)/n (all_reduce), (n-1)/n (all_gather, "
      "reduce_scatter), 1 (broadcast); time: median of batches of calls, each on its slowest rank",
      "plain MPI: the same call in place in a bare loop in the same run, batch by batch in turn; "
      "over: the median of what neighbouring batches differ by (out of place: in --json)",
      "a barrier of ours sleeps, so that waiting ranks leave their cores alone; MPI's spins"};
  if (at.world.size() == 1)
    report.notes.push_back("one rank: nothing is moved; start with mpirun -n N for figures");
  return report;
}

}  // namespace stylescope
