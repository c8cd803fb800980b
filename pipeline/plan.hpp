#pragma once

#include "pipeline/run_directory.hpp"
#include "pipeline/stage.hpp"

#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// Which stages run, and why. A stage is up to date when its key (format version, seed, precision,
// its section of the configuration, the hashes of its inputs) is the one it was made with and its
// files are all there.
namespace stylescope {

// What of a run's configuration reaches every stage's key.
struct RunKey {
  uint64_t seed = 0;
  std::string precision = "float32";
  bool strict = false;  // another program version makes every stage again
};

enum class Action {
  up_to_date,
  start,    // from the beginning
  resume,   // goes on from <stage>.partial
  depends,  // only in a forecast: an input is made first; runs if that changes
};

struct Decision {
  std::string stage;
  Action action = Action::up_to_date;
  std::string reason;
  std::vector<std::string> notes;  // what the user should hear besides
  nlohmann::json key;              // null for `depends`
};

// Root only; changes nothing. `pending`: stages that a forecast takes to run before this one.
// Throws Error where an input or a file outside the run directory is missing.
Decision decide(const Stage& stage, const RunKey& run, const RunDirectory& directory,
                const std::set<std::string>& pending);

// The stages that --from and --only leave ("" and {}: all). Throws UsageError for an unknown name,
// with the nearest.
std::vector<Stage> select(const std::vector<Stage>& stages, const std::string& from,
                          const std::vector<std::string>& only);

// All decisions, without doing anything.
std::vector<Decision> forecast(const std::vector<Stage>& selected, const RunKey& run,
                               const RunDirectory& directory);

// The stage's section as it is, and without what only says how the work is done, not what comes
// out: "checkpoint", "log_every", "threads".
nlohmann::json section_of(const Stage& stage);
nlohmann::json section_for_key(const Stage& stage);

// "configuration: 'gan.batch' was 32, is 64"; "" when equal.
std::string first_difference(const std::string& stage, const nlohmann::json& before,
                             const nlohmann::json& now);

}  // namespace stylescope
