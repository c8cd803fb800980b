#include "pipeline/bench.hpp"
#include "pipeline/bench_laps.hpp"
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

class GanBench {
 public:
  GanBench(const BenchNetworks& networks, const Launch& at)
      : at_(at), laps_(at.device), steps_(networks, networks.gan.batch, at.world, at, &laps_) {}

  // Three kinds of steps in turn: with both lazy phases, with none, and with the path length alone.
  void run(double seconds) {
    const std::array<int64_t, 3> kinds{
        steps_.config().r1_interval, steps_.config().r1_interval + 1,
        steps_.config().r1_interval + steps_.config().path_length_interval};
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
    wrong_ = steps_.wrong();
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
             g_path.*part / static_cast<double>(steps_.config().path_length_interval) +
             d_r1.*part / static_cast<double>(steps_.config().r1_interval);
    };
    rows.push_back(row_of("GAN g_main", 1, g_main, 0, matmul, 3 * rounds_, 0));
    rows.push_back(row_of("GAN g_path", steps_.config().path_length_interval, g_path, 0, matmul,
                          2 * rounds_, 0));
    rows.push_back(row_of("GAN d_main and average", 1, d_main, 0, matmul, 2 * rounds_, 0));
    rows.push_back(row_of("GAN d_r1", steps_.config().r1_interval, d_r1, 0, matmul, rounds_, 0));
    rows.push_back(row_of("GAN step, on average", 1,
                          {share(&Cost::seconds), share(&Cost::operations)}, steps_.config().batch,
                          matmul, 3 * rounds_, wrong_));
  }

 private:
  struct Record {
    std::map<std::string, std::vector<double>> seconds, operations;
    void add(const std::string& name, const Laps::Lap& lap) {
      seconds[name].push_back(lap.seconds);
      operations[name].push_back(lap.operations);
    }
  };

  void step(size_t kind, int64_t number, Record& record) {
    const auto figures = steps_.step_number(number);
    laps_.stop();
    // A rank that was dealt no samples drew none: its laps are zero, and the slowest rank counts.
    record.add("g_main", laps_[Phase::g_main]);
    if (figures.ran_path) record.add("g_path", laps_[Phase::g_path]);
    record.add(kind == 0 ? "d_main+d_r1" : "d_main", laps_[Phase::d_main]);
  }

  const Launch& at_;
  Laps laps_;
  GanSteps steps_;
  Record counting_, timed_;
  int64_t rounds_ = 0, wrong_ = 0;
};

nlohmann::ordered_json bench_resnet(const BenchNetworks& networks, const Launch& at, double seconds,
                                    double matmul) {
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
                resnet.batch, matmul, timing.calls, steps.wrong());
}

}  // namespace

BenchReport bench_train(const TrainBench& bench, const Launch& at, double seconds) {
  const double matmul = matmul_rate(at, seconds);
  const BenchNetworks networks = networks_of(bench);
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
    GanBench gan(networks, at);
    gan.run(seconds);
    gan.report(report.rows, matmul);
  }
  report.rows.push_back(bench_resnet(networks, at, seconds, matmul));
  report.notes = {
      "work: of the convolutions and matrix products that ran, from their shapes; medians, "
      "slowest rank",
      "d_r1: by difference (-: lost in the noise; raise --seconds); wrong: values that are not "
      "finite, or ranks that disagree"};
  return report;
}

}  // namespace stylescope
