#pragma once

#include "pipeline/comm_model.hpp"
#include "slurm/resources.hpp"

#include <filesystem>
#include <string>
#include <vector>

// `bench scale` on several numbers of nodes: a Slurm job for each, and one that puts their results
// together.
namespace stylescope {

struct ScaleJobs {
  std::string nodes;               // "1,2,4,8"
  std::filesystem::path folder;    // of the report
  std::string config;              // file; "": none
  std::string site;                // "": the configuration's, or generic
  Resources own;                   // over the configuration's (stage gan), over the site's
  double seconds = 2;              // of a measurement
  std::vector<std::string> words;  // of `bench scale` but --config, --out, --ranks and those below
  // Of each job and of the report: --latency-us, --bandwidth-gbs, --ranks-per-node.
  std::vector<std::string> prediction;
  bool dry_run = false;
};

// Ascending. Throws UsageError for what is not positive, or there twice.
std::vector<int64_t> parse_node_counts(const std::string& text);

// Submits, and says what on stdout. Earlier results of what is submitted are removed first. The
// folder gets slurm/nodes-N.sbatch and .log, and from the jobs nodes-N/scale.json and .html. Throws
// UsageError, Interrupted on a signal between two jobs, and Error where sbatch refused one or more;
// the others go on.
void submit_scale(const ScaleJobs& jobs);

// Writes scale.html, scale.json and scale.txt into the folder, of all that was measured, with a
// prediction for the network `asked`, and prints the text or the JSON. Throws Error where nothing
// was measured.
void collate_scale(const std::filesystem::path& folder, const AskedNetwork& asked, bool json);

}  // namespace stylescope
