#pragma once

#include "pipeline/measured_rates.hpp"
#include "pipeline/stage_disk.hpp"
#include "slurm/submission.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// What a submission will take: hours, GPU hours and bytes of every stage, with the arithmetic.
namespace stylescope {

// What a stage's job asks for.
struct JobShape {
  int64_t ranks = 1, nodes = 1, gpus = 0;
  int64_t cpus = 0;                 // a rank; 0: not said
  int64_t shares = 0;               // jobs of an array beside each other; 0: none
  int64_t limit = 0;                // seconds; 0: none
  double signal = 0;                // seconds before it at which the job is told to stop
  std::optional<int64_t> restarts;  // at most, after the first session; none: not limited
};
JobShape job_shape(const PlannedStage& stage);

struct StageEstimate {
  std::string stage;
  StageWork work;
  JobShape job;
  std::optional<double> seconds;  // without: not known, and the lines say why
  bool at_most = false;           // of the seconds
  bool at_least = false;          // a part of the work is not in them
  bool ideal = false;             // other numbers of ranks are taken to scale ideally
  bool other_networks = false;    // rates of networks that are far from ours
  bool few_calls = false;         // measured by too few calls
  bool other_device = false;      // measured on CPUs for a job with GPUs, or the other way round
  double efficiency = 1;          // of the ranks: time of one / (ranks x time)
  std::vector<DiskItem> disk;
  std::vector<std::string> lines;     // the arithmetic
  std::vector<std::string> warnings;  // time limits that are too short

  std::optional<double> gpu_hours() const;
  bool rough() const { return ideal || other_networks || few_calls || other_device; }
};

// `done`: of the work's amount, in an earlier session that this one goes on from. `messages`: the
// all_reduces of a training step.
StageEstimate estimate_stage(const StageWork& work, const JobShape& job, const MeasuredRates& rates,
                             const std::vector<StepProfile::Message>& messages = {},
                             double done = 0);

// The all_reduces of a training step's gradients; none for what does not train.
std::vector<StepProfile::Message> step_messages(const BenchNetworks& networks,
                                                const std::string& stage, int64_t element_size);

// The stages that the run waits for longest, one after the other. Unknown ones count 0.
struct LongestPath {
  double seconds = 0;
  std::vector<std::string> stages;
};
LongestPath longest_path(const std::vector<StageEstimate>& stages,
                         const std::map<std::string, std::vector<std::string>>& inputs);

// A table, a line of arithmetic for each figure, and the totals.
std::string estimate_text(const std::vector<StageEstimate>& stages,
                          const std::map<std::string, std::vector<std::string>>& inputs,
                          const std::vector<std::string>& notes);

// Of the stage's time and GPU hours: "at most ", "at least ", "about " for both, or "".
const char* bound_words(const StageEstimate& stage);

std::string time_words(double seconds);     // "1.93 s", "3.2 min", "22.7 h"
std::string gpu_hours_words(double hours);  // "181", "below 0.01"

}  // namespace stylescope
