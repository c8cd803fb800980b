#include "distributed/random.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_timing.hpp"
#include "stages/networks/generator.hpp"

#include <numeric>

namespace stylescope {
namespace {

nlohmann::ordered_json run_batch(Generator& generator, const torch::Tensor& z,
                                 const torch::Tensor& expected, const Launch& at, double seconds,
                                 double matmul) {
  torch::Tensor images;
  int64_t wrong = 0;
  const auto generate = [&] {
    images = generator->synthesize(generator->broadcast(generator->map(z)));
  };
  const auto check = [&] { wrong += count_wrong(images, expected); };
  const auto timing = measure(at, seconds, {generate, {}, check});
  const double time = slowest(at, timing), ranks = at.world.size();
  double operations = 0;
  {
    const FlopCounter counter;
    generate();
    operations = ranks * counter.count();
  }
  return {{"batch", z.size(0)},
          {"latency", time * 1e3},
          {"fastest", at.world.all_reduce(timing.fastest, ReduceOp::min) * 1e3},
          {"rate", ranks * static_cast<double>(z.size(0)) / time},
          {"gflops", operations / time / 1e9},
          {"of_limit", 100 * operations / time / matmul},
          {"calls", timing.calls},
          {"wrong", total(at, wrong)}};
}

}  // namespace

BenchReport bench_generate(const GenerateBench& bench, const Launch& at, double seconds) {
  GeneratorOptions options;
  options.resolution = bench.resolution;
  options.image_channels = bench.image_channels;
  options.channel_base = bench.channel_base;
  options.channel_max = bench.channel_max;
  options.mapping_layers = 2;
  Generator generator(options);
  initialize(generator, 0);
  generator->to(at.device, at.dtype);
  generator->eval();

  const torch::NoGradGuard no_grad;
  const double matmul = matmul_rate(at, seconds);
  std::vector<int64_t> samples(static_cast<size_t>(bench.batch));
  std::iota(samples.begin(), samples.end(), at.world.rank() * bench.batch);
  const auto z = keyed_normal({0, "bench.generate.z", 0}, samples, {options.z_dim},
                              torch::dtype(at.dtype).device(at.device));
  // One by one: what a batch makes must be what single images are.
  std::vector<torch::Tensor> singles;
  for (int64_t i = 0; i < bench.batch; ++i)
    singles.push_back(
        generator->synthesize(generator->broadcast(generator->map(z.narrow(0, i, 1)))));
  const auto expected = torch::cat(singles);

  BenchReport report;
  report.name = "generate";
  report.args = {{"resolution", bench.resolution},
                 {"channel_base", bench.channel_base},
                 {"channel_max", bench.channel_max},
                 {"channels", bench.image_channels},
                 {"batch", bench.batch},
                 {"seconds", seconds}};
  report.limits = {{"matmul_GFLOP/s", matmul / 1e9}};
  report.columns = {{"batch", "batch a rank", ""}, {"latency", "latency", "ms"},
                    {"fastest", "fastest", "ms"},  {"rate", "rate", "images/s"},
                    {"gflops", "rate", "GFLOP/s"}, {"of_limit", "of matmul", "%"},
                    {"calls", "calls", ""},        {"wrong", "#wrong", ""}};
  report.rows.push_back(
      run_batch(generator, z.narrow(0, 0, 1), expected.narrow(0, 0, 1), at, seconds, matmul));
  if (bench.batch > 1)
    report.rows.push_back(run_batch(generator, z, expected, at, seconds, matmul));
  return report;
}

}  // namespace stylescope
