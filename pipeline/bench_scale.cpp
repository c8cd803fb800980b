#include "distributed/host.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/utc_time.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_timing.hpp"
#include "pipeline/comm_timing.hpp"
#include "pipeline/provenance.hpp"
#include "pipeline/scale_parts.hpp"
#include "pipeline/scale_run.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace stylescope {
namespace {

using Json = nlohmann::ordered_json;

// Those chosen, after 1; or 1, 2, 3, 4, then powers of two, and all.
std::vector<int64_t> rank_counts(const std::vector<int64_t>& chosen, int64_t size) {
  std::vector<int64_t> counts;
  if (!chosen.empty()) {
    std::set<int64_t> distinct(chosen.begin(), chosen.end());
    distinct.insert(1);
    counts.assign(distinct.begin(), distinct.end());
    if (counts.front() < 1 || counts.back() > size)
      throw UsageError(detail::concatenate("--ranks: there are 1 to ", size, " ranks here, not ",
                                           counts.front() < 1 ? counts.front() : counts.back(),
                                           "; give other numbers, or start more ranks"));
    return counts;
  }
  for (int64_t k = 1; k < size; k = k < 4 ? k + 1 : 2 * k) counts.push_back(k);
  counts.push_back(size);
  return counts;
}

// What is trained on how many images of a rank.
struct Subject {
  std::string name;
  int64_t batch;
  MakeStepsOf make;
};

std::vector<Subject> subjects_of(const BenchNetworks& networks, const Launch& at) {
  const auto& resnet = networks.resnets.at(0);
  return {{"GAN step", networks.gan.batch,
           [&](Communicator& world, int64_t batch) {
             return std::make_unique<GanSteps>(networks, batch, world, at);
           }},
          {resnet.name + " step", resnet.batch, [&](Communicator& world, int64_t batch) {
             return std::make_unique<ResNetSteps>(networks, batch, world, at);
           }}};
}

std::vector<CommPoint> measure_all_reduces(Communicator& part, const ScaleBench& bench,
                                           const Launch& at, double seconds, int64_t& wrong) {
  std::vector<CommPoint> points;
  const auto width = static_cast<int64_t>(torch::elementSize(at.dtype));
  for (int64_t bytes = 256; bytes <= bench.comm_max_bytes; bytes *= 4) {
    const CommCase test{Collective::Kind::all_reduce, at.dtype, at.device, true, bytes / width};
    const auto timing = time_collective(part, test, seconds, false);
    wrong += timing.wrong;
    points.push_back({static_cast<double>(bytes), part.size(), timing.seconds});
  }
  return points;
}

int64_t parameters_of(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

// The first k ranks work, the others sleep. On the root: everything.
ScaleFindings measure(const ScaleBench& bench, const Launch& at, double seconds, int64_t& wrong) {
  ScaleFindings findings;
  const auto subjects = subjects_of(bench.networks, at);
  for (const auto& subject : subjects)
    findings.trainings.push_back({subject.name, subject.batch, {}, {}});
  for (const int64_t k : rank_counts(bench.ranks, at.world.size())) {
    const bool works = at.world.rank() < k;
    const auto part = at.world.split(works ? 0 : 1);
    for (size_t i = 0; works && i < subjects.size(); ++i)
      findings.trainings[i].points.push_back(
          measure_scale(*part, subjects[i].make, subjects[i].batch, at.device, seconds));
    if (works && k > 1)
      for (const auto& point : measure_all_reduces(*part, bench, at, seconds / 4, wrong))
        findings.all_reduces.push_back(point);
    at.world.barrier();
  }
  return findings;
}

int64_t predicted_ranks_a_node(const ScaleBench& bench) {
  return std::max<int64_t>(1, bench.asked.ranks_per_node);
}

void add_model(ScaleFindings& findings, const ScaleBench& bench) {
  if (findings.all_reduces.size() >= 2) findings.fit = fit_network(findings.all_reduces);
  // One rank exchanges nothing: what a step sends is not known.
  if (!findings.fit) return;
  const NetworkModel network = bench.asked.over(findings.fit->model);
  const auto a_node = predicted_ranks_a_node(bench);
  findings.network = network;
  findings.assumptions = assumptions(
      network, a_node, bench.asked.given() ? NetworkSource::given : NetworkSource::this_run);
  for (auto& training : findings.trainings) {
    const auto& last = training.points.back();
    const StepProfile profile{last.weak.compute, last.groups, last.weak.hidden_share(),
                              last.weak.messages};
    for (int64_t nodes = 1; nodes <= 1024; nodes *= 2)
      training.predictions.push_back(predict(profile, network, nodes, a_node));
  }
}

Json row_of(const ScaleFindings::Training& training, const ScalePoint& point, bool weak,
            const std::vector<std::string>& hosts) {
  const auto& times = weak ? point.weak : point.strong;
  const double one = training.points.front().weak.step;
  const auto ranks = static_cast<double>(point.ranks);
  const int64_t batch = training.batch * (weak ? point.ranks : 1);
  Json row{{"name", training.name},
           {"scaling", point.ranks == 1 ? "one rank"
                       : weak           ? "weak"
                                        : "strong"},
           {"ranks", point.ranks},
           {"batch", batch},
           {"time", times.step * 1e3},
           {"rate", static_cast<double>(batch) / times.step},
           {"efficiency", 100 * one / times.step / (weak ? 1 : ranks)},
           {"of_independent", nullptr},
           {"compute", times.compute * 1e3},
           {"exposed", times.exposed * 1e3},
           {"waiting", times.waiting * 1e3},
           {"blocked", 100 * times.blocked() / times.step},
           {"hidden", times.hidden * 1e3},
           {"hidden_share", 100 * times.hidden_share()},
           {"slowest",
            std::to_string(times.slowest) + " " + hosts.at(static_cast<size_t>(times.slowest))},
           {"lag", times.lag * 1e3},
           {"steps", times.steps},
           {"wrong", times.wrong}};
  if (weak) row["of_independent"] = 100 * point.independent / times.step;
  return row;
}

Json rows_of(const ScaleFindings& findings, const std::vector<std::string>& hosts) {
  Json rows = Json::array();
  for (const auto& training : findings.trainings)
    for (const auto& point : training.points) {
      rows.push_back(row_of(training, point, true, hosts));
      if (point.ranks > 1) rows.push_back(row_of(training, point, false, hosts));
    }
  return rows;
}

BenchTable all_reduce_table(const ScaleFindings& findings, int64_t wrong) {
  BenchTable table{"all_reduce", "all_reduce, measured and from the model", {}, {}};
  table.columns = {{"ranks", "ranks", ""},   {"bytes", "size", "B"},  {"time", "time", "us"},
                   {"model", "model", "us"}, {"way", "best way", ""}, {"ratio", "model/time", ""}};
  for (const auto& point : findings.all_reduces) {
    const auto& model = findings.fit->model;
    const double seconds = all_reduce_seconds(model, point.bytes, point.ranks);
    table.rows.push_back({{"ranks", point.ranks},
                          {"bytes", static_cast<int64_t>(point.bytes)},
                          {"time", point.seconds * 1e6},
                          {"model", seconds * 1e6},
                          {"way", name_of(fastest_way(model, point.bytes, point.ranks))},
                          {"ratio", seconds / point.seconds}});
  }
  if (!table.rows.empty()) table.rows.front()["wrong"] = wrong;
  return table;
}

std::vector<BenchColumn> scale_columns() {
  return {{"name", "step", ""},
          {"scaling", "scaling", ""},
          {"ranks", "ranks", ""},
          {"batch", "batch", ""},
          {"time", "time", "ms"},
          {"rate", "rate", "images/s"},
          {"efficiency", "efficiency", "%"},
          {"of_independent", "of independent", "%"},
          {"compute", "compute", "ms"},
          {"exposed", "exposed", "ms"},
          {"waiting", "waiting", "ms"},
          {"blocked", "of step", "%"},
          {"hidden", "hidden", "ms"},
          {"hidden_share", "hidden", "%"},
          {"slowest", "slowest rank", ""},
          {"lag", "lag", "ms"},
          {"steps", "steps", ""},
          {"wrong", "#wrong", ""}};
}

// What the root has, for all ranks: its tables and notes.
Json shared_part(const BenchReport& report) {
  Json shared{{"rows", report.rows}, {"notes", report.notes}, {"tables", Json::array()}};
  for (const auto& table : report.more) {
    Json columns = Json::array();
    for (const auto& column : table.columns)
      columns.push_back({column.key, column.title, column.unit});
    shared["tables"].push_back({table.key, table.title, columns, table.rows});
  }
  return shared;
}

void take_shared_part(BenchReport& report, const Json& shared) {
  report.rows = shared.at("rows").get<std::vector<Json>>();
  report.notes = shared.at("notes").get<std::vector<std::string>>();
  report.more.clear();
  for (const auto& table : shared.at("tables")) {
    report.more.push_back({table[0], table[1], {}, table[3].get<std::vector<Json>>()});
    for (const auto& column : table[2])
      report.more.back().columns.push_back({column[0], column[1], column[2]});
  }
}

std::vector<std::string> distinct_of(std::vector<std::string> hosts) {
  std::sort(hosts.begin(), hosts.end());
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  return hosts;
}

std::string subtitle_of(const Launch& at, const std::vector<std::string>& hosts) {
  const auto distinct = distinct_of(hosts).size();
  return std::to_string(at.world.size()) + (at.world.size() == 1 ? " rank" : " ranks") + " on " +
         std::to_string(distinct) + (distinct == 1 ? " host (" : " hosts (") + hosts.front() +
         (distinct > 1 ? ", ..." : "") + "), threads a rank: " + std::to_string(at.threads) + ", " +
         at.device.str() + ", " + at.world.backend();
}

void tell(BenchReport& report, ScaleFindings& findings, const std::vector<std::string>& hosts,
          int64_t wrong, bool on_gpu) {
  report.rows = rows_of(findings, hosts).get<std::vector<Json>>();
  report.notes = {
      "weak: the batch grows with the ranks; efficiency: time of one rank / time; strong: one "
      "batch "
      "for all; efficiency: time of one rank / (ranks x time)",
      "of independent: against as many ranks that train alone, all at once, in turn with the weak "
      "steps: ranks of a host share its memory and its clock",
      "compute, waiting: mean over the ranks; exposed: transfers that the step waits for; waiting: "
      "for late ranks; of step: both; hidden: transfers during computation",
      "slowest rank: computes longest before it enters a collective; lag: against the median rank"};
  if (on_gpu)
    report.notes.push_back(
        "on GPUs exchange runs beside the host, which does not see it: exposed, waiting and hidden "
        "are not measured there, and count as computing");
  if (findings.fit) {
    report.more.push_back(model_table(*findings.fit));
    report.more.push_back(all_reduce_table(findings, wrong));
  }
  if (!findings.network) {
    report.notes.push_back(
        "no prediction: one rank exchanges nothing; start more ranks (mpirun -n N, srun)");
    return;
  }
  report.more.push_back(prediction_table(predictions_of(findings.trainings)));
  for (const auto& sentence : findings.assumptions)
    report.notes.push_back("prediction assumes: " + sentence);
}

// For whoever looks at it, and for whoever puts several runs side by side.
void publish(const ScaleBench& bench, const Launch& at, const ScaleFindings& findings,
             const BenchReport& report, const std::vector<std::string>& hosts) {
  std::filesystem::create_directories(bench.out);
  publish_text(bench.out / kScalePageFile, scale_page(findings));
  ScaleRun run;
  for (const char* key :
       {"resolution", "gan_parameters", "gan_batch", "resnet_parameters", "resnet_batch"})
    run.settings[key] = report.args.at(key);
  run.settings["version"] = program_version();
  run.settings["device"] = at.device.is_cuda() ? "cuda" : "cpu";
  run.settings["cpu"] = cpu_type();
  run.settings["precision"] = type_name(at.dtype);
  run.settings["threads"] = at.threads;
  run.time = utc_time();
  run.hosts = distinct_of(hosts);
  run.ranks = at.world.size();
  run.wrong = report.wrong();
  run.findings = findings;
  write_scale_run(bench.out / kScaleRunFile, run);
}

}  // namespace

BenchReport bench_scale(const ScaleBench& bench, const Launch& at, double seconds) {
  const auto hosts = at.world.all_gather(host_name());
  BenchReport report;
  report.name = "scale";
  report.args = {
      {"resolution", bench.networks.generator.resolution},
      {"gan_parameters", parameters_of(*Generator(bench.networks.generator)) +
                             parameters_of(*Discriminator(bench.networks.discriminator))},
      {"resnet_parameters", parameters_of(*ResNet(bench.networks.resnets.at(0).network))},
      {"gan_batch", bench.networks.gan.batch},
      {"resnet_batch", bench.networks.resnets.at(0).batch},
      {"latency_us", bench.asked.latency_us},
      {"bandwidth_gbs", bench.asked.bandwidth_gbs},
      {"ranks_per_node", predicted_ranks_a_node(bench)},
      {"seconds", seconds}};
  report.limits = {{"copy_GB/s", copy_rate(at, seconds) / 1e9}};
  report.columns = scale_columns();
  int64_t wrong = 0;
  auto findings = measure(bench, at, seconds, wrong);
  findings.subtitle = subtitle_of(at, hosts);
  std::string shared;
  on_root(at.world, [&] {
    add_model(findings, bench);
    tell(report, findings, hosts, wrong, at.device.is_cuda());
    if (!bench.out.empty()) {
      publish(bench, at, findings, report, hosts);
      report.notes.push_back("page: " + (bench.out / kScalePageFile).string());
    }
    shared = shared_part(report).dump();
  });
  take_shared_part(report, Json::parse(at.world.broadcast(shared, 0)));
  return report;
}

}  // namespace stylescope
