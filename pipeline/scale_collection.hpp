#pragma once

#include "pipeline/bench_report.hpp"
#include "pipeline/scale_run.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

// Runs of `bench scale` on several numbers of nodes, side by side.
namespace stylescope {

// "nodes-4": a run's folder within the report's, and its job's name.
std::string node_count_name(int64_t nodes);

// "1 node", "4 nodes".
std::string nodes_text(int64_t nodes);

struct ScaleCollection {
  struct Missing {
    int64_t nodes = 0;
    std::string why;
    std::string log;  // where to read more, within the folder; "": nowhere
  };
  std::map<int64_t, ScaleRun> runs;  // by nodes
  std::vector<Missing> missing;      // by nodes
};

// Reads <folder>/nodes-N/scale.json for every N that has such a folder or was submitted
// (slurm/jobs.json). What is not there, or cannot be read, is missing; `states`: what Slurm says
// of jobs, by id. Throws Error where the folder or the list of jobs cannot be read, or nothing was
// measured.
ScaleCollection collect_scale_runs(const std::filesystem::path& folder,
                                   const std::map<int64_t, std::string>& states);

// A training step on all ranks of a number of nodes. Efficiencies: against the fewest nodes. Model
// figures are seconds; 0 without a model.
struct NodeScaling {
  int64_t nodes = 0, ranks = 0;
  ScalePoint point;
  double weak_rate = 0, strong_rate = 0;  // images a second
  double weak_efficiency = 0, strong_efficiency = 0;
  double weak_model = 0, strong_model = 0;
  double weak_model_efficiency = 0, strong_model_efficiency = 0;
};

// all_reduces over all ranks of a number of nodes: the smallest and the largest message.
struct NodeAllReduce {
  int64_t nodes = 0, ranks = 0;
  double small_bytes = 0, latency = 0, latency_model = 0;  // seconds
  double large_bytes = 0, seconds = 0, seconds_model = 0;
  double bus_bandwidth = 0, bus_bandwidth_model = 0;  // bytes a second
  std::vector<CommPoint> points;
};

struct ScaleSummary {
  struct Training {
    std::string name;
    int64_t batch = 0;
    std::vector<NodeScaling> nodes;            // ascending
    std::vector<ScalePrediction> predictions;  // efficiencies against one rank
  };
  std::vector<Training> trainings;
  std::vector<NodeAllReduce> all_reduces;  // where there is more than one rank
  std::optional<NetworkFit> fit;           // of those of two nodes and more, else of one node
  bool across = false;                     // the former
  std::vector<std::string> notes;          // what to bear in mind
  std::vector<std::string> assumptions;    // of the predictions
  std::string subtitle;
};

// The model: latency and bandwidth as fitted to the all_reduces of several nodes (of one, where
// there are no others), and a step that computes and sends as that of the fewest nodes with more
// than one rank. The predictions up to 1024 nodes are for the network `asked`.
ScaleSummary summarise(const ScaleCollection& collection, const AskedNetwork& asked = {});

// One HTML page that works offline; it links to the pages and logs of the runs beside it.
std::string scale_collection_page(const ScaleCollection& collection, const ScaleSummary& summary);
// Scaling, all_reduces, predictions.
std::vector<BenchTable> tables_of(const ScaleSummary& summary);
// What is missing, what to bear in mind and what is assumed, a sentence each.
std::vector<std::string> notes_of(const ScaleCollection& collection, const ScaleSummary& summary);

}  // namespace stylescope
