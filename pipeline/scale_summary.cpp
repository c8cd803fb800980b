#include "io/base/error.hpp"
#include "pipeline/scale_collection.hpp"
#include "pipeline/scale_parts.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace stylescope {
namespace {

using detail::concatenate;
using Json = nlohmann::ordered_json;

const ScaleFindings::Training* training_of(const ScaleRun& run, const std::string& name,
                                           int64_t batch) {
  for (const auto& training : run.findings.trainings)
    if (training.name == name && training.batch == batch) return &training;
  return nullptr;
}

std::vector<CommPoint> all_reduces_of(const ScaleRun& run) {
  std::vector<CommPoint> points;
  for (const auto& point : run.findings.all_reduces)
    if (point.ranks == run.ranks) points.push_back(point);
  std::ranges::sort(points, {}, &CommPoint::bytes);
  return points;
}

// Of several nodes where there are such runs: within one, memory takes the network's place.
std::optional<NetworkFit> fit_of(const ScaleCollection& collection, ScaleSummary& summary) {
  summary.across = std::ranges::any_of(collection.runs, [](const auto& entry) {
    return entry.first > 1 && all_reduces_of(entry.second).size() > 1;
  });
  std::vector<CommPoint> points;
  for (const auto& [nodes, run] : collection.runs)
    if (nodes > 1 || !summary.across)
      for (const auto& point : all_reduces_of(run)) points.push_back(point);
  if (points.size() < 2) {
    summary.notes.push_back("no model: one rank exchanges nothing");
    return std::nullopt;
  }
  summary.notes.push_back(concatenate(
      "model: latency and bandwidth are fitted to the all_reduces ",
      summary.across ? "of two nodes and more" : "of one node, whose memory is no network",
      ", between any two ranks; a step computes and sends as on the fewest nodes with "
      "more than one rank, and no rank is late"));
  return fit_network(points);
}

// Of the fewest ranks that exchange something.
std::optional<StepProfile> profile_of(const ScaleCollection& collection,
                                      const ScaleSummary::Training& training) {
  for (const auto& [nodes, run] : collection.runs) {
    const auto* found = training_of(run, training.name, training.batch);
    if (!found || run.ranks < 2) continue;
    const auto& last = found->points.back();
    return StepProfile{last.weak.compute, last.groups, last.weak.hidden_share(),
                       last.weak.messages};
  }
  return std::nullopt;
}

NodeScaling scaling_of(int64_t nodes, const ScaleRun& run, const ScaleFindings::Training& training,
                       const NodeScaling* first) {
  NodeScaling at;
  at.nodes = nodes;
  at.ranks = run.ranks;
  at.point = training.points.back();
  const auto batch = static_cast<double>(training.batch), ranks = static_cast<double>(run.ranks);
  at.weak_rate = batch * ranks / at.point.weak.step;
  at.strong_rate = batch / at.point.strong.step;
  if (!first) {
    at.weak_efficiency = at.strong_efficiency = 1;
    return at;
  }
  const auto share = static_cast<double>(first->ranks) / ranks;
  at.weak_efficiency = first->point.weak.step / at.point.weak.step;
  at.strong_efficiency = share * first->point.strong.step / at.point.strong.step;
  return at;
}

// The fit was made as if each rank had a link of its own: so is what it predicts.
ScalePrediction predicted(const StepProfile& profile, const NetworkModel& network, int64_t nodes,
                          int64_t ranks) {
  auto prediction = predict(profile, network, ranks, 1);
  prediction.nodes = nodes;
  return prediction;
}

int64_t ranks_a_node(const NodeScaling& at) { return std::max<int64_t>(1, at.ranks / at.nodes); }

// Beside what was measured.
void add_model(ScaleSummary::Training& training, const StepProfile& profile,
               const NetworkFit& fit) {
  for (auto& at : training.nodes) {
    const auto model = predicted(profile, fit.model, at.nodes, at.ranks);
    at.weak_model = model.weak_step;
    at.strong_model = model.strong_step;
    const auto& first = training.nodes.front();
    at.weak_model_efficiency = first.weak_model / at.weak_model;
    at.strong_model_efficiency = static_cast<double>(first.ranks) * first.strong_model /
                                 (static_cast<double>(at.ranks) * at.strong_model);
  }
}

// Of what was not. A bandwidth that is given is that of a node's link, which its ranks share.
void add_predictions(ScaleSummary::Training& training, const StepProfile& profile,
                     const ScaleSummary& summary, const AskedNetwork& asked, int64_t a_node) {
  const NetworkModel network = asked.over(summary.fit->model);
  for (int64_t nodes = 1; nodes <= 1024; nodes *= 2)
    training.predictions.push_back(asked.bandwidth_gbs > 0
                                       ? predict(profile, network, nodes, a_node)
                                       : predicted(profile, network, nodes, nodes * a_node));
}

NetworkSource source_of(const ScaleSummary& summary, const AskedNetwork& asked) {
  if (asked.given()) return NetworkSource::given;
  return summary.across ? NetworkSource::several_nodes : NetworkSource::one_node;
}

NodeAllReduce all_reduce_of(int64_t nodes, const ScaleRun& run,
                            const std::optional<NetworkFit>& fit) {
  NodeAllReduce at;
  at.nodes = nodes, at.ranks = run.ranks;
  at.points = all_reduces_of(run);
  const auto &small = at.points.front(), &large = at.points.back();
  at.small_bytes = small.bytes, at.latency = small.seconds;
  at.large_bytes = large.bytes, at.seconds = large.seconds;
  const double on_bus = large.bytes * bus_factor(Collective::Kind::all_reduce, run.ranks);
  at.bus_bandwidth = on_bus / at.seconds;
  if (!fit) return at;
  at.latency_model = all_reduce_seconds(fit->model, small.bytes, run.ranks);
  at.seconds_model = all_reduce_seconds(fit->model, large.bytes, run.ranks);
  at.bus_bandwidth_model = on_bus / at.seconds_model;
  return at;
}

std::set<std::string> keys_of(const std::vector<nlohmann::json>& settings) {
  std::set<std::string> keys;
  for (const auto& some : settings)
    for (const auto& entry : some.items()) keys.insert(entry.key());
  return keys;
}

// An older version did not write all of them.
std::string setting_text(const ScaleRun& run, const std::string& key) {
  return run.settings.contains(key) ? run.settings.at(key).dump() : "(not told)";
}

// Runs that cannot be compared as they stand.
void note_differences(const ScaleCollection& collection, ScaleSummary& summary) {
  const auto& [fewest, first] = *collection.runs.begin();
  for (const auto& [nodes, run] : collection.runs) {
    if (run.wrong > 0)
      summary.notes.push_back(concatenate(nodes_text(nodes), ": ", run.wrong,
                                          " results were wrong: do not trust these figures"));
    for (const auto& key : keys_of({first.settings, run.settings}))
      if (const auto here = setting_text(run, key), there = setting_text(first, key); here != there)
        summary.notes.push_back(concatenate(
            nodes_text(nodes), ": measured with ", key, " ", here, ", where ", nodes_text(fewest),
            fewest == 1 ? " has " : " have ", there, "; do not compare them"));
    if (run.ranks * fewest != first.ranks * nodes)
      summary.notes.push_back(concatenate(nodes_text(nodes), ": ", run.ranks, " ranks, where ",
                                          nodes_text(fewest), fewest == 1 ? " has " : " have ",
                                          first.ranks, ": ranks a node differ"));
  }
}

std::string subtitle_of(const ScaleCollection& collection) {
  std::string counts;
  for (const auto& [nodes, run] : collection.runs)
    counts += (counts.empty() ? "" : ", ") + std::to_string(nodes);
  const int64_t nodes = collection.runs.rbegin()->first;
  const ScaleRun& run = collection.runs.rbegin()->second;
  const auto setting = [&](const char* key) {
    const auto value = run.settings.value(key, nlohmann::json("?"));
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  return concatenate(counts, nodes == 1 ? " node" : " nodes", ", ranks a node: ",
                     static_cast<double>(run.ranks) / static_cast<double>(nodes),
                     ", threads a rank: ", setting("threads"), ", ", setting("device"), ", ",
                     setting("cpu"), "; measured ", run.time);
}

Json or_nothing(double value, double factor) { return value > 0 ? Json(value * factor) : Json(); }

BenchTable scaling_table(const ScaleSummary& summary) {
  BenchTable table{"scaling", "Training steps by number of nodes", {}, {}};
  table.columns = {{"name", "step", ""},
                   {"scaling", "scaling", ""},
                   {"nodes", "nodes", ""},
                   {"ranks", "ranks", ""},
                   {"time", "time", "ms"},
                   {"rate", "rate", "images/s"},
                   {"efficiency", "efficiency", "%"},
                   {"model_time", "model", "ms"},
                   {"model_efficiency", "model", "%"},
                   {"ratio", "model/time", ""},
                   {"exposed", "exposed", "ms"},
                   {"waiting", "waiting", "ms"},
                   {"blocked", "of step", "%"}};
  for (const auto& training : summary.trainings)
    for (const bool weak : {true, false})
      for (const auto& at : training.nodes) {
        const auto& times = weak ? at.point.weak : at.point.strong;
        const double model = weak ? at.weak_model : at.strong_model;
        table.rows.push_back(
            {{"name", training.name},
             {"scaling", weak ? "weak" : "strong"},
             {"nodes", at.nodes},
             {"ranks", at.ranks},
             {"time", times.step * 1e3},
             {"rate", weak ? at.weak_rate : at.strong_rate},
             {"efficiency", 100 * (weak ? at.weak_efficiency : at.strong_efficiency)},
             {"model_time", or_nothing(model, 1e3)},
             {"model_efficiency",
              or_nothing(weak ? at.weak_model_efficiency : at.strong_model_efficiency, 100)},
             {"ratio", or_nothing(model, 1 / times.step)},
             {"exposed", times.exposed * 1e3},
             {"waiting", times.waiting * 1e3},
             {"blocked", 100 * times.blocked() / times.step}});
      }
  return table;
}

BenchTable all_reduce_table(const ScaleSummary& summary) {
  BenchTable table{"all_reduce", "all_reduce over all ranks", {}, {}};
  table.columns = {{"nodes", "nodes", ""},           {"ranks", "ranks", ""},
                   {"small", "smallest", "B"},       {"latency", "time", "us"},
                   {"latency_model", "model", "us"}, {"large", "largest", "B"},
                   {"time", "time", "us"},           {"time_model", "model", "us"},
                   {"busbw", "busbw", "GB/s"},       {"busbw_model", "model", "GB/s"}};
  for (const auto& at : summary.all_reduces)
    table.rows.push_back({{"nodes", at.nodes},
                          {"ranks", at.ranks},
                          {"small", static_cast<int64_t>(at.small_bytes)},
                          {"latency", at.latency * 1e6},
                          {"latency_model", or_nothing(at.latency_model, 1e6)},
                          {"large", static_cast<int64_t>(at.large_bytes)},
                          {"time", at.seconds * 1e6},
                          {"time_model", or_nothing(at.seconds_model, 1e6)},
                          {"busbw", at.bus_bandwidth / 1e9},
                          {"busbw_model", or_nothing(at.bus_bandwidth_model, 1e-9)}});
  return table;
}

}  // namespace

ScaleSummary summarise(const ScaleCollection& collection, const AskedNetwork& asked) {
  SS_CHECK(!collection.runs.empty(), "nothing was measured");
  ScaleSummary summary;
  summary.subtitle = subtitle_of(collection);
  note_differences(collection, summary);
  summary.fit = fit_of(collection, summary);
  for (const auto& model : collection.runs.begin()->second.findings.trainings) {
    ScaleSummary::Training training{model.name, model.batch, {}, {}};
    for (const auto& [nodes, run] : collection.runs)
      if (const auto* found = training_of(run, model.name, model.batch)) {
        const auto* first = training.nodes.empty() ? nullptr : &training.nodes.front();
        training.nodes.push_back(scaling_of(nodes, run, *found, first));
      }
    const auto profile = profile_of(collection, training);
    if (summary.fit && profile) {
      add_model(training, *profile, *summary.fit);
      const auto a_node =
          asked.ranks_per_node > 0 ? asked.ranks_per_node : ranks_a_node(training.nodes.back());
      add_predictions(training, *profile, summary, asked, a_node);
      summary.assumptions =
          assumptions(asked.over(summary.fit->model), a_node, source_of(summary, asked));
    }
    summary.trainings.push_back(std::move(training));
  }
  for (const auto& [nodes, run] : collection.runs)
    if (!all_reduces_of(run).empty())
      summary.all_reduces.push_back(all_reduce_of(nodes, run, summary.fit));
  return summary;
}

std::vector<BenchTable> tables_of(const ScaleSummary& summary) {
  std::vector<BenchTable> tables{scaling_table(summary)};
  if (summary.fit) tables.push_back(model_table(*summary.fit));
  for (auto table :
       {all_reduce_table(summary), prediction_table(predictions_of(summary.trainings))})
    if (!table.rows.empty()) tables.push_back(std::move(table));
  return tables;
}

std::vector<std::string> notes_of(const ScaleCollection& collection, const ScaleSummary& summary) {
  std::vector<std::string> notes;
  for (const auto& missing : collection.missing)
    notes.push_back(concatenate("missing: ", nodes_text(missing.nodes), ": ", missing.why,
                                missing.log.empty() ? "" : " (log: " + missing.log + ")"));
  notes.push_back(
      "efficiency: against the fewest nodes; weak: their time / time; strong: their ranks x time / "
      "(ranks x time); of the prediction: against one rank");
  notes.insert(notes.end(), summary.notes.begin(), summary.notes.end());
  for (const auto& sentence : summary.assumptions)
    notes.push_back("prediction assumes: " + sentence);
  return notes;
}

}  // namespace stylescope
