#pragma once

#include "pipeline/comm_model.hpp"
#include "pipeline/stage_work.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// How fast stages were, or are, and where that was measured. Nothing here is a guess.
namespace stylescope {

// A whole stage of an earlier run.
struct StageRate {
  double per_second = 0;  // of the unit of the stage's work, all ranks together
  int64_t ranks = 1;
  double efficiency = 1;             // of those ranks: time of one / (ranks x time)
  double hidden_share = 0;           // of the exchange of gradients
  bool waiting_inside = false;       // that for gradients is in the rate, and not told apart
  double outside_seconds = 0;        // of a training: what the rate leaves out
  bool under_way = false;            // the rate is that of the part which shows its progress
  double factor = 1;                 // from its networks to ours, by their arithmetic
  int64_t pieces = 0;                // that were dealt to those ranks; 0: the root alone worked
  int64_t threads = 0;               // a rank; 0: not known
  std::string device;                // cpu | cuda; "": not known
  std::string where;                 // the file
  std::vector<std::string> remarks;  // what went into efficiency and factor
  int source = 0;                    // the place of its source; the smallest counts

  double of_one_rank() const {
    return per_second / (static_cast<double>(ranks) * efficiency) * factor;
  }
  // Networks so different do not reach the same operations a second.
  bool far() const {
    constexpr double kFar = 4;
    return factor > kFar || factor < 1 / kFar;
  }
};

// An image through one network, on one rank.
struct PassRate {
  double seconds = 0;
  std::string how;
  std::string device;           // cpu | cuda; "": not known
  double hidden_share = 0;      // of a step's exchange of gradients
  bool waiting_inside = false;  // that for gradients is in `seconds`, and not told apart
  bool rough = false;           // of fewer than three calls
  int source = 0;               // as above
};

struct MeasuredRates {
  std::map<std::string, StageRate> stages;
  std::map<Pass, PassRate> passes;
  std::optional<NetworkModel> network;
  std::string network_how;
  double image_bytes = 0;  // of a compressed images.h5; 0: not known
  std::vector<std::string> notes;
  int sources = 0;  // so far: what is named first comes first

  bool any() const { return !stages.empty() || !passes.empty(); }
};

// What the estimate is made for.
struct OurWork {
  const Config& config;
  const std::vector<StageWork>& stages;
  PassCosts& costs;
  std::map<std::string, int64_t> ranks = {};  // of each stage's job; 1 where it is not in it

  // Images in a training step (or in a call of a network) of the rank that has most.
  int64_t images_of_rank(const StageWork& work) const;
};

// From a run directory: the stages that are done, and what those under way say of themselves. What
// is there already stays. False where it is no run directory. Throws Error for damaged records.
bool add_run(MeasuredRates& rates, const std::filesystem::path& run_dir, const OurWork& ours);

// From what `bench scale --json` or `bench comm --json` printed. Throws UsageError, naming `name`,
// for anything else.
void add_report(MeasuredRates& rates, const nlohmann::json& report, const std::string& name,
                const OurWork& ours);

// By running every pass of our stages on this machine for about `seconds`, with the share of one of
// the stage's ranks.
void add_here(MeasuredRates& rates, const OurWork& ours, double seconds);

// Time of one rank / (ranks x time), for `pieces` dealt whole to ranks and nothing else.
double dealing_efficiency(int64_t pieces, int64_t ranks);

// How a measurement in `precision` differs from the configuration: "" or a remark.
std::string precision_remark(const std::string& precision, const Config& ours);

}  // namespace stylescope
