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

// <stage>.partial/progress.json (of a task: progress.task-<k>.json), written by the root at most
// every second and at the end.
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
  double step_seconds = 0;  // the longest step of this session
  // The longest time from the end of a step to its checkpoint on disk: of this session, or of the
  // one before until this one has written a checkpoint; 0: none was written.
  double write_seconds = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(CheckpointTimes, step_seconds, write_seconds)
};

// <run_dir>/.<stage>.outcome.json: how the newest session of the stage (of a task: of
// <stage>.task-<k>) ended.
struct StageOutcome {
  // running: at work, or lost without a word; interrupted: stopped with a checkpoint written, or
  // between two stages; failed: for a reason that another try would meet again (Error, UsageError);
  // broken: for one that it might not (a device, memory); done.
  std::string state;
  std::string cause;
  std::string host;  // of the root; of a failure: of the rank that failed
  int64_t pid = 0;
  double updated = 0;  // Unix time
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(StageOutcome, state, cause, host, pid, updated)
};

inline constexpr const char* kCheckpointTimesFile = "checkpoint_times.json";
// "gan", or "tile.task-3" for a task (-1: none) that works on a share of the stage: names its
// outcome and its logs.
std::string session_name(const std::string& stage, int64_t task = -1);
// "progress.json" or "progress.task-3.json".
std::string progress_file_name(int64_t task = -1);
// Is the name of a file at the top of a stage's folder that of such news (or of a half-written
// one)? They are no part of what the stage publishes.
bool is_stage_news(const std::string& name);
std::filesystem::path outcome_file(const std::filesystem::path& run_dir, const std::string& stage);

double unix_time();
template <class State>
void write_state(const std::filesystem::path& file, const State& state);
template <class State>
std::optional<State> read_state(const std::filesystem::path& file);

namespace detail {
// A rename without an fsync: it may be lost in a power cut, and nobody minds. Failures are not
// thrown: news must not end the work. From several hosts at once: one of them stands.
void replace_text(const std::filesystem::path& file, const std::string& text) noexcept;
std::optional<nlohmann::json> read_json_if_whole(const std::filesystem::path& file) noexcept;
}  // namespace detail

template <class State>
void write_state(const std::filesystem::path& file, const State& state) {
  // Causes quote file names, which may be no UTF-8.
  detail::replace_text(
      file,
      nlohmann::json(state).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
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
