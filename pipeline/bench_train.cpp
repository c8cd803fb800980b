#include "distributed/random.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_laps.hpp"
#include "pipeline/bench_timing.hpp"
#include "stages/gan/gan_trainer.hpp"
#include "stages/supervised/resnet_trainer.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

// So small that the networks stay as they start, however long it takes; no kernel is faster for it.
constexpr double kLearningRate = 1e-7;

int64_t largest_divisor(int64_t n, int64_t limit) {
  int64_t divisor = std::min(n, limit);
  while (n % divisor != 0) --divisor;
  return divisor;
}

// What a row of the table is made of; operations are those of all ranks.
struct Cost {
  double seconds = 0, operations = 0;
};

nlohmann::ordered_json row_of(const std::string& name, int64_t every, const Cost& cost,
                              int64_t images, double matmul, int64_t calls, int64_t wrong) {
  nlohmann::ordered_json row{{"name", name},
                             {"every", every},
                             {"time", nullptr},
                             {"rate", nullptr},
                             {"gflop", cost.operations / 1e9},
                             {"gflops", nullptr},
                             {"of_limit", nullptr},
                             {"calls", calls},
                             {"wrong", wrong}};
  // A difference of two times can drown in their noise: then there is no figure.
  if (cost.seconds <= 0) return row;
  row["time"] = cost.seconds * 1e3;
  row["gflops"] = cost.operations / cost.seconds / 1e9;
  row["of_limit"] = 100 * cost.operations / cost.seconds / matmul;
  if (images > 0) row["rate"] = static_cast<double>(images) / cost.seconds;
  return row;
}

// All ranks hold the same parameters after a step, or something went wrong.
int64_t disagreement(const Launch& at, const torch::Tensor& values) {
  const double sum = values.to(torch::kFloat64).sum().item<double>();
  return at.world.all_reduce(sum, ReduceOp::max) == at.world.all_reduce(sum, ReduceOp::min) ? 0 : 1;
}

class GanBench {
 public:
  GanBench(const TrainBench& bench, const Launch& at)
      : at_(at), laps_(at.device), options_(generator_options(bench)) {
    config_.batch = bench.batch;
    config_.mbstd_group = largest_divisor(bench.batch, 4);
    config_.learning_rate = kLearningRate;
    Generator generator(options_), average(options_);
    Discriminator discriminator(discriminator_options(bench));
    initialize(generator, 0);
    initialize(average, 0);
    initialize(discriminator, 0);
    generator->to(at.device, at.dtype);
    average->to(at.device, at.dtype);
    discriminator->to(at.device, at.dtype);
    const auto tensors = torch::dtype(at.dtype).device(at.device);
    keyed_ = std::make_unique<KeyedGanDraws>(0, options_, config_.style_mixing, true, tensors);
    draws_ = std::make_unique<TimedDraws>(*keyed_, laps_);
    trainer_ =
        std::make_unique<GanTrainer>(config_, generator, discriminator, average, at.world, *draws_);
    reals_.images =
        keyed_uniform({0, "bench.train.images", 0}, trainer_->local_samples(),
                      {options_.image_channels, options_.resolution, options_.resolution},
                      tensors) *
            2 -
        1;
  }

  // Three kinds of steps in turn: with both lazy phases, with none, and with the path length alone.
  void run(double seconds) {
    const std::array<int64_t, 3> kinds{config_.r1_interval, config_.r1_interval + 1,
                                       config_.r1_interval + config_.path_length_interval};
    {
      const FlopCounter counter;
      laps_.count_with(&counter);
      for (size_t kind = 0; kind < kinds.size(); ++kind) step(kind, kinds[kind], counting_);
      laps_.count_with(nullptr);
    }
    const double begin = device_clock(at_.device);
    do {
      for (size_t kind = 0; kind < kinds.size(); ++kind) step(kind, kinds[kind], timed_);
      ++rounds_;
    } while (at_.world.all_reduce(device_clock(at_.device) - begin, ReduceOp::max) < seconds);
    wrong_ += disagreement(at_, trainer_->generator_parameters().values());
    wrong_ += disagreement(at_, trainer_->discriminator_parameters().values());
  }

  void report(std::vector<nlohmann::ordered_json>& rows, double matmul) const {
    const auto cost = [&](const char* name) {
      return Cost{at_.world.all_reduce(median(timed_.seconds.at(name)), ReduceOp::max),
                  at_.world.all_reduce(median(counting_.operations.at(name)))};
    };
    const auto g_main = cost("g_main"), g_path = cost("g_path"), d_main = cost("d_main");
    const auto both = cost("d_main+d_r1");
    const Cost d_r1{std::max(both.seconds - d_main.seconds, 0.0),
                    both.operations - d_main.operations};
    const auto share = [&](double Cost::*part) {
      return g_main.*part + d_main.*part +
             g_path.*part / static_cast<double>(config_.path_length_interval) +
             d_r1.*part / static_cast<double>(config_.r1_interval);
    };
    rows.push_back(row_of("GAN g_main", 1, g_main, 0, matmul, 3 * rounds_, 0));
    rows.push_back(
        row_of("GAN g_path", config_.path_length_interval, g_path, 0, matmul, 2 * rounds_, 0));
    rows.push_back(row_of("GAN d_main and average", 1, d_main, 0, matmul, 2 * rounds_, 0));
    rows.push_back(row_of("GAN d_r1", config_.r1_interval, d_r1, 0, matmul, rounds_, 0));
    rows.push_back(row_of("GAN step, on average", 1,
                          {share(&Cost::seconds), share(&Cost::operations)}, config_.batch, matmul,
                          3 * rounds_, wrong_));
  }

 private:
  struct Record {
    std::map<std::string, std::vector<double>> seconds, operations;
    void add(const std::string& name, const Laps::Lap& lap) {
      seconds[name].push_back(lap.seconds);
      operations[name].push_back(lap.operations);
    }
  };

  static GeneratorOptions generator_options(const TrainBench& bench) {
    GeneratorOptions options;
    options.resolution = bench.resolution;
    options.image_channels = bench.image_channels;
    options.channel_base = bench.channel_base;
    options.channel_max = bench.channel_max;
    options.mapping_layers = 2;
    return options;
  }
  static DiscriminatorOptions discriminator_options(const TrainBench& bench) {
    DiscriminatorOptions options;
    options.resolution = bench.resolution;
    options.image_channels = bench.image_channels;
    options.channel_base = bench.channel_base;
    options.channel_max = bench.channel_max;
    options.mbstd_group = largest_divisor(bench.batch, 4);
    return options;
  }

  void step(size_t kind, int64_t number, Record& record) {
    const auto figures = trainer_->step(number, reals_);
    laps_.stop();
    wrong_ += figures.non_finite;
    if (!std::isfinite(figures.loss_g + figures.loss_d + figures.path_loss + figures.r1_loss))
      ++wrong_;
    // A rank that was dealt no samples drew none: its laps are zero, and the slowest rank counts.
    record.add("g_main", laps_[Phase::g_main]);
    if (figures.ran_path) record.add("g_path", laps_[Phase::g_path]);
    record.add(kind == 0 ? "d_main+d_r1" : "d_main", laps_[Phase::d_main]);
  }

  const Launch& at_;
  Laps laps_;
  GeneratorOptions options_;
  GanConfig config_;
  std::unique_ptr<KeyedGanDraws> keyed_;
  std::unique_ptr<TimedDraws> draws_;
  std::unique_ptr<GanTrainer> trainer_;
  RealBatch reals_;
  Record counting_, timed_;
  int64_t rounds_ = 0, wrong_ = 0;
};

nlohmann::ordered_json bench_resnet(const TrainBench& bench, const Launch& at, double seconds,
                                    double matmul) {
  constexpr int64_t kClasses = 10;
  ResNetOptions options;
  options.depth = bench.depth;
  options.width = bench.width;
  options.stem = bench.resolution > 64 ? "imagenet" : "small";
  options.input_channels = bench.image_channels;
  options.outputs = kClasses;
  ResNet network(options);
  initialize(network, 0, false);
  network->to(at.device, at.dtype);
  ResNetTrainer trainer(
      network, at.world, bench.batch, largest_divisor(bench.batch, 16),
      [](const FlatParameters& p) { return std::make_unique<Adam>(p, 0.9, 0.999, 1e-8); });
  std::vector<int64_t> samples;
  const auto local = trainer.local_samples();
  for (int64_t i = local.begin; i < local.end; ++i) samples.push_back(i);
  const auto inputs = keyed_normal({0, "bench.train.resnet", 0}, samples,
                                   {bench.image_channels, bench.resolution, bench.resolution},
                                   torch::dtype(at.dtype).device(at.device));
  const auto labels = torch::tensor(samples, torch::kInt64).remainder(kClasses).to(at.device);
  const auto loss = [&](const torch::Tensor& outputs, IndexRange rows) {
    const auto right = labels.slice(0, rows.begin, rows.end);
    return GroupLoss{torch::nll_loss(torch::log_softmax(outputs, 1), right, {}, at::Reduction::Sum),
                     torch::full({}, static_cast<double>(rows.size()), outputs.options()),
                     outputs.argmax(1).eq(right).sum()};
  };
  int64_t wrong = 0;
  StepFigures figures;
  const auto step = [&] { figures = trainer.step(inputs, kLearningRate, loss); };
  const auto check = [&] { wrong += figures.non_finite + (std::isfinite(figures.loss) ? 0 : 1); };
  const auto timing = measure(at, seconds, {step, {}, check});
  double operations = 0;
  {
    const FlopCounter counter;
    step();
    operations = counter.count();
  }
  wrong += disagreement(at, trainer.parameters().values());
  return row_of("ResNet-" + std::to_string(bench.depth) + " step", 1,
                {slowest(at, timing), at.world.all_reduce(operations)}, bench.batch, matmul,
                timing.calls, wrong);
}

}  // namespace

BenchReport bench_train(const TrainBench& bench, const Launch& at, double seconds) {
  const double matmul = matmul_rate(at, seconds);
  BenchReport report;
  report.name = "train";
  report.args = {{"resolution", bench.resolution},
                 {"channel_base", bench.channel_base},
                 {"channel_max", bench.channel_max},
                 {"channels", bench.image_channels},
                 {"batch", bench.batch},
                 {"depth", bench.depth},
                 {"width", bench.width},
                 {"seconds", seconds}};
  report.limits = {{"matmul_GFLOP/s", matmul / 1e9}};
  report.columns = {
      {"name", "phase", ""},          {"every", "every", "steps"}, {"time", "time", "ms"},
      {"rate", "rate", "images/s"},   {"gflop", "work", "GFLOP"},  {"gflops", "rate", "GFLOP/s"},
      {"of_limit", "of matmul", "%"}, {"calls", "calls", ""},      {"wrong", "#wrong", ""}};
  {
    GanBench gan(bench, at);
    gan.run(seconds);
    gan.report(report.rows, matmul);
  }
  report.rows.push_back(bench_resnet(bench, at, seconds, matmul));
  report.notes = {
      "work: of the convolutions and matrix products that ran, from their shapes; medians, "
      "slowest rank",
      "d_r1: by difference (-: lost in the noise; raise --seconds); wrong: values that are not "
      "finite, or ranks that disagree"};
  return report;
}

}  // namespace stylescope
