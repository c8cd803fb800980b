#include "io/base/error.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_compared.hpp"
#include "pipeline/bench_laps.hpp"
#include "pipeline/bench_profile.hpp"
#include "pipeline/bench_steps.hpp"
#include "pipeline/bench_timing.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

// What a row of the table is made of; operations are those of all ranks.
struct Cost {
  double seconds = 0, operations = 0;
};

nlohmann::ordered_json row_of(const std::string& name, int64_t every, const Cost& cost,
                              int64_t images, double limit, int64_t calls, int64_t wrong) {
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
  row["of_limit"] = 100 * cost.operations / cost.seconds / limit;
  if (images > 0) row["rate"] = static_cast<double>(images) / cost.seconds;
  return row;
}

// Seconds and operations of each lap, by name.
struct Record {
  std::map<std::string, std::vector<double>> seconds, operations;
  void add(const std::string& name, const Laps::Lap& lap) {
    seconds[name].push_back(lap.seconds);
    operations[name].push_back(lap.operations);
  }
};

// The training of networks with these operations.
struct Training {
  Training(const BenchNetworks& networks, const Launch& at)
      : laps(at.device), steps(networks, networks.gan.batch, at.world, at, &laps) {}
  Laps laps;
  GanSteps steps;
  Record counting, timed;
  OperationTimes profile;  // of an iteration, on average
  int64_t wrong = 0;
};

// What a phase costs, and how often it runs.
struct PhaseCost {
  std::string name;
  int64_t every, calls;
  Cost cost;
};

class GanBench {
 public:
  GanBench(const BenchNetworks& networks, const std::vector<Operations>& operations,
           const Launch& at)
      : at_(at), config_(networks.gan) {
    for (const auto chosen : operations) {
      auto own = networks;
      for (auto* numerics : {&own.generator.numerics, &own.discriminator.numerics}) {
        numerics->half = half_with(chosen, numerics->half, at);
        numerics->operations = chosen;
      }
      trainings_.push_back(std::make_unique<Training>(own, at));
    }
    const int64_t r1 = config_.r1_interval, path = config_.path_length_interval;
    kinds_ = {{{r1, 1.0 / static_cast<double>(r1)},
               {r1 + 1, 1 - 1.0 / static_cast<double>(path)},
               {r1 + path, 1.0 / static_cast<double>(path) - 1.0 / static_cast<double>(r1)}}};
  }

  // Three kinds of steps in turn: with both lazy phases, with none, and with the path length alone;
  // of each kind one with each of the operations.
  void run(double seconds) {
    for (auto& training : trainings_) {
      const FlopCounter counter;
      training->laps.count_with(&counter);
      for (size_t kind = 0; kind < kinds_.size(); ++kind) step(*training, kind, training->counting);
      training->laps.count_with(nullptr);
    }
    const double begin = device_clock(at_.device);
    do {
      for (size_t kind = 0; kind < kinds_.size(); ++kind)
        for (auto& training : trainings_) step(*training, kind, training->timed);
      ++rounds_;
    } while (at_.world.all_reduce(device_clock(at_.device) - begin, ReduceOp::max) < seconds);
    for (auto& training : trainings_) training->wrong = training->steps.wrong();
  }

  void profile() {
    for (auto& training : trainings_)
      for (const auto& kind : kinds_) {
        const OperationProfile profile;
        training->steps.step_number(kind.step);
        training->profile.add(profile.times(), kind.share);
      }
  }

  void report(std::vector<nlohmann::ordered_json>& rows, double limit) const {
    const auto phases = costs(*trainings_.front());
    for (const auto& phase : phases) {
      const bool overall = phase.every == 0;
      rows.push_back(row_of(phase.name, overall ? 1 : phase.every, phase.cost,
                            overall ? config_.batch : 0, limit, phase.calls,
                            overall ? wrong() : 0));
    }
  }

  // Images a second of each phase and of all, beside the reference's.
  BenchTable comparison(const nlohmann::ordered_json& facts, bool both, double limit) const {
    const auto ours = costs(*trainings_.front()), theirs = costs(*trainings_.back());
    BenchTable table{"operations",
                     "fast operations beside plain LibTorch operations",
                     comparison_columns("phase"),
                     {}};
    auto by_phase = nlohmann::ordered_json::object();
    for (size_t i = 0; i < ours.size(); ++i) {
      auto row = facts;
      row["name"] = ours[i].name;
      compare_rates(row, {static_cast<double>(config_.batch), ours[i].cost.seconds,
                          both ? theirs[i].cost.seconds : 0, ours[i].cost.operations / limit});
      const bool overall = ours[i].every == 0;
      if (!overall)
        by_phase[ours[i].name] = {
            {"images_per_second", row.at("images_per_second")},
            {"reference_images_per_second", row.at("reference_images_per_second")},
            {"ratio", row.at("ratio")}};
      row["phases"] = overall ? by_phase : nlohmann::ordered_json(nullptr);
      table.rows.push_back(row);
    }
    return table;
  }

  BenchTable profile_table(const std::vector<Operations>& operations) const {
    BenchTable table{"profile", "where the time of an iteration goes", {{"name", "kind", ""}}, {}};
    for (const auto chosen : operations) {
      const std::string name = chosen == Operations::fast ? "fast" : "reference";
      table.columns.push_back({name, name, "ms"});
      table.columns.push_back({name + "_share", "share", "%"});
    }
    for (size_t kind = 0; kind < kOperationKinds; ++kind) {
      nlohmann::ordered_json row{{"name", name_of(static_cast<OperationKind>(kind))}};
      for (size_t i = 0; i < operations.size(); ++i) {
        const auto& times = trainings_[i]->profile;
        row[table.columns[1 + 2 * i].key] = 1e3 * times.seconds[kind];
        row[table.columns[2 + 2 * i].key] = 100 * times.seconds[kind] / times.total();
      }
      table.rows.push_back(row);
    }
    return table;
  }

 private:
  struct Kind {
    int64_t step;
    double share;  // of all steps
  };

  // Of the phases, and last of a step on average.
  std::vector<PhaseCost> costs(const Training& training) const {
    const auto cost = [&](const char* name) {
      return Cost{at_.world.all_reduce(median(training.timed.seconds.at(name)), ReduceOp::max),
                  at_.world.all_reduce(median(training.counting.operations.at(name)))};
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
    return {{"GAN g_main", 1, 3 * rounds_, g_main},
            {"GAN g_path", config_.path_length_interval, 2 * rounds_, g_path},
            {"GAN d_main and average", 1, 2 * rounds_, d_main},
            {"GAN d_r1", config_.r1_interval, rounds_, d_r1},
            {"GAN step, on average",
             0,
             3 * rounds_,
             {share(&Cost::seconds), share(&Cost::operations)}}};
  }

  int64_t wrong() const {
    int64_t sum = 0;
    for (const auto& training : trainings_) sum += training->wrong;
    return sum;
  }

  void step(Training& training, size_t kind, Record& record) {
    const auto figures = training.steps.step_number(kinds_[kind].step);
    training.laps.stop();
    // A rank that was dealt no samples drew none: its laps are zero, and the slowest rank counts.
    record.add("g_main", training.laps[Phase::g_main]);
    if (figures.ran_path) record.add("g_path", training.laps[Phase::g_path]);
    record.add(kind == 0 ? "d_main+d_r1" : "d_main", training.laps[Phase::d_main]);
  }

  const Launch& at_;
  GanConfig config_;
  std::array<Kind, 3> kinds_{};
  std::vector<std::unique_ptr<Training>> trainings_;
  int64_t rounds_ = 0;
};

nlohmann::ordered_json bench_resnet(const BenchNetworks& networks, const Launch& at, double seconds,
                                    double limit) {
  const auto& resnet = networks.resnets.at(0);
  ResNetSteps steps(networks, resnet.batch, at.world, at);
  const auto timing = measure(at, seconds, {[&] { steps.step(0); }, {}, {}});
  double operations = 0;
  {
    const FlopCounter counter;
    steps.step(0);
    operations = counter.count();
  }
  return row_of(resnet.name + " step", 1, {slowest(at, timing), at.world.all_reduce(operations)},
                resnet.batch, limit, timing.calls, steps.wrong());
}

}  // namespace

BenchReport bench_train(const TrainBench& bench, const Launch& at, double seconds) {
  if (bench.profile && !at.device.is_cpu())
    throw UsageError(
        "bench train: --profile times operations where they are called, which on a GPU is not "
        "where they run; leave it out, or add --device cpu");
  const Limits limits(at, bench.half.value_or(at.dtype), seconds);
  const BenchNetworks networks = networks_of(bench);
  const auto operations = operations_of(bench.compared);
  BenchReport report;
  report.name = "train";
  report.precision = type_name(bench.half.value_or(at.dtype));
  report.args = {{"resolution", bench.resolution},
                 {"channel_base", bench.channel_base},
                 {"channel_max", bench.channel_max},
                 {"channels", bench.image_channels},
                 {"mapping_layers", bench.mapping_layers},
                 {"batch", bench.batch},
                 {"depth", bench.depth},
                 {"width", bench.width},
                 {"seconds", seconds}};
  report.limits = limits.to_json();
  report.columns = {
      {"name", "phase", ""},        {"every", "every", "steps"}, {"time", "time", "ms"},
      {"rate", "rate", "images/s"}, {"gflop", "work", "GFLOP"},  {"gflops", "rate", "GFLOP/s"},
      {"of_limit", "of peak", "%"}, {"calls", "calls", ""},      {"wrong", "#wrong", ""}};
  {
    GanBench gan(networks, operations, at);
    gan.run(seconds);
    if (bench.profile) gan.profile();
    gan.report(report.rows, limits.peak());
    report.more.push_back(gan.comparison(comparison_facts(bench.resolution, bench.half, at),
                                         operations.size() > 1, limits.peak()));
    if (bench.profile) report.more.push_back(gan.profile_table(operations));
  }
  report.rows.push_back(bench_resnet(networks, at, seconds, limits.peak()));
  report.notes = {
      "work: of the convolutions (as direct ones) and matrix products that ran, from their shapes; "
      "medians, slowest rank; peak: the better of a 3x3 convolution and a matrix product",
      "d_r1: by difference (-: lost in the noise; raise --seconds); wrong: values that are not "
      "finite, or ranks that disagree"};
  return report;
}

}  // namespace stylescope
