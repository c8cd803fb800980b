#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

// What a stage under way says of itself, for whoever looks at its folder from outside (status, the
// batch scripts): small files that are replaced by rename. A reader gets nothing where a file is
// not there or cannot be read: it is news, not a result.
namespace stylescope {

// <stage>.partial/progress.json, written by the root at most every second.
struct StageProgress {
  std::string title;  // "gan", "evaluate: test images"
  int64_t step = 0, total = 0;
  double rate = 0;  // of `unit` a second
  std::string unit;
  double seconds_left = 0;
  double updated = 0;  // Unix time
  std::vector<std::pair<std::string, double>> figures;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(StageProgress, title, step, total, rate, unit, seconds_left,
                                 updated, figures)
};

// <stage>.partial/checkpoint_times.json, by a training stage: what a stop costs.
struct CheckpointTimes {
  double step_seconds = 0;   // the longest step of this session
  double write_seconds = 0;  // the longest time from the end of a step to its checkpoint on disk
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(CheckpointTimes, step_seconds, write_seconds)
};

// <run_dir>/.<stage>.outcome.json: how the newest session of the stage ended.
struct StageOutcome {
  // running: at work, or lost without a word; interrupted: stopped with a checkpoint written, or
  // between two stages; failed: for a reason that another try would meet again (Error, UsageError);
  // broken: for one that it might not (a device, memory); done.
  std::string state;
  std::string cause;
  std::string host;  // of the root
  int64_t pid = 0;
  double updated = 0;  // Unix time
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(StageOutcome, state, cause, host, pid, updated)
};

inline constexpr const char* kProgressFile = "progress.json";
inline constexpr const char* kCheckpointTimesFile = "checkpoint_times.json";
std::filesystem::path outcome_file(const std::filesystem::path& run_dir, const std::string& stage);

double unix_time();
template <class State>
void write_state(const std::filesystem::path& file, const State& state);
template <class State>
std::optional<State> read_state(const std::filesystem::path& file);

namespace detail {
// A rename without an fsync: it may be lost in a power cut, and nobody minds. Failures are not
// thrown: news must not end the work.
void replace_text(const std::filesystem::path& file, const std::string& text) noexcept;
std::optional<nlohmann::json> read_json_if_whole(const std::filesystem::path& file) noexcept;
}  // namespace detail

template <class State>
void write_state(const std::filesystem::path& file, const State& state) {
  detail::replace_text(file, nlohmann::json(state).dump() + "\n");
}

template <class State>
std::optional<State> read_state(const std::filesystem::path& file) {
  const auto found = detail::read_json_if_whole(file);
  if (!found) return std::nullopt;
  try {
    return found->template get<State>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace stylescope
