#include "distributed/random.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_compared.hpp"
#include "pipeline/bench_timing.hpp"
#include "stages/networks/generator.hpp"

#include <numeric>

namespace stylescope {
namespace {

torch::Tensor images_of(Generator& generator, const torch::Tensor& z) {
  return generator->synthesize(generator->broadcast(generator->map(z)));
}

Generator make_generator(const GenerateBench& bench, Operations operations, const Launch& at) {
  GeneratorOptions options;
  options.resolution = bench.resolution;
  options.image_channels = bench.image_channels;
  options.channel_base = bench.channel_base;
  options.channel_max = bench.channel_max;
  options.mapping_layers = bench.mapping_layers;
  options.numerics.operations = operations;
  options.numerics.half = half_with(operations, bench.half, at);
  if (bench.half) options.clamp = kHalfClamp;
  Generator generator(options);
  initialize(generator, 0);
  generator->to(at.device, at.dtype);
  generator->eval();
  return generator;
}

// One batch through every generator in turn: the row about the first, and its comparison with the
// last.
struct BatchReport {
  nlohmann::ordered_json row, compared;
};

BatchReport run_batch(std::vector<Generator>& generators, const torch::Tensor& z,
                      const torch::Tensor& expected, const Launch& at, double seconds,
                      double limit) {
  torch::Tensor images;
  int64_t wrong = 0;
  // A half type rounds to some 2^-8 of what it adds up, in an order of its own for every batch.
  const auto& options = generators.front()->options();
  const double share = options.numerics.half ? 0.05 : 0;
  const auto check = [&] { wrong += count_wrong(images, expected, share); };
  std::vector<Timed> timed;
  for (auto& generator : generators)
    timed.push_back({[&] { images = images_of(generator, z); }, {}, check});
  const auto timings = measure_in_turn(at, seconds, timed);
  const double time = slowest(at, timings.front()), ranks = at.world.size();
  double operations = 0;
  {
    const FlopCounter counter;
    images_of(generators.front(), z);
    operations = ranks * counter.count();
  }
  const double batch = static_cast<double>(z.size(0));
  BatchReport report;
  report.row = {{"batch", z.size(0)},
                {"latency", time * 1e3},
                {"fastest", at.world.all_reduce(timings.front().fastest, ReduceOp::min) * 1e3},
                {"rate", ranks * batch / time},
                {"gflops", operations / time / 1e9},
                {"of_limit", 100 * operations / time / limit},
                {"calls", timings.front().calls},
                {"wrong", total(at, wrong)}};
  report.compared = comparison_facts(options.resolution, options.numerics.half, at);
  report.compared["name"] = z.size(0);
  compare_rates(report.compared,
                {ranks * batch, time, generators.size() > 1 ? slowest(at, timings.back()) : 0,
                 operations / limit});
  return report;
}

}  // namespace

BenchReport bench_generate(const GenerateBench& bench, const Launch& at, double seconds) {
  std::vector<Generator> generators;
  for (const auto operations : operations_of(bench.compared))
    generators.push_back(make_generator(bench, operations, at));

  const torch::NoGradGuard no_grad;
  const Limits limits(at, bench.half.value_or(at.dtype), seconds);
  std::vector<int64_t> samples(static_cast<size_t>(bench.batch));
  std::iota(samples.begin(), samples.end(), at.world.rank() * bench.batch);
  const auto z =
      keyed_normal({0, "bench.generate.z", 0}, samples, {generators.front()->options().z_dim},
                   torch::dtype(at.dtype).device(at.device));
  // One by one: what a batch makes must be what single images are, by whatever operations.
  std::vector<torch::Tensor> singles;
  for (int64_t i = 0; i < bench.batch; ++i)
    singles.push_back(images_of(generators.front(), z.narrow(0, i, 1)));
  const auto expected = torch::cat(singles);

  BenchReport report;
  report.name = "generate";
  report.precision = type_name(bench.half.value_or(at.dtype));
  report.args = {{"resolution", bench.resolution},
                 {"channel_base", bench.channel_base},
                 {"channel_max", bench.channel_max},
                 {"channels", bench.image_channels},
                 {"mapping_layers", bench.mapping_layers},
                 {"batch", bench.batch},
                 {"seconds", seconds}};
  report.limits = limits.to_json();
  report.columns = {{"batch", "batch a rank", ""}, {"latency", "latency", "ms"},
                    {"fastest", "fastest", "ms"},  {"rate", "rate", "images/s"},
                    {"gflops", "rate", "GFLOP/s"}, {"of_limit", "of peak", "%"},
                    {"calls", "calls", ""},        {"wrong", "#wrong", ""}};
  BenchTable compared{"operations",
                      "fast operations beside plain LibTorch operations",
                      comparison_columns("batch a rank"),
                      {}};
  for (const int64_t batch : {int64_t{1}, bench.batch}) {
    if (batch == 1 && !report.rows.empty()) break;
    auto found = run_batch(generators, z.narrow(0, 0, batch), expected.narrow(0, 0, batch), at,
                           seconds, limits.peak());
    report.rows.push_back(found.row);
    compared.rows.push_back(found.compared);
  }
  report.more.push_back(compared);
  return report;
}

}  // namespace stylescope
