#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

// Progress of long work: rate, time left and the figures that matter. One line that redraws itself
// on a terminal, a plain line at most every few seconds elsewhere, and a file for those who look
// from outside. Only the root shows it.
namespace stylescope {

class Progress {
 public:
  // `unit` is what the rate counts ("img"), `per_step` how many of them a step does. `file`: gets a
  // StageProgress (io/stage_state.hpp); empty: none.
  Progress(std::string title, int64_t total_steps, int64_t per_step, std::string unit, bool shown,
           std::filesystem::path file = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void starts_at(int64_t step);
  void update(int64_t completed_steps, const std::vector<std::pair<std::string, double>>& figures);
  // A step whose figures nobody worked out: for the file alone.
  void reached(int64_t completed_steps);
  // Units a second since starts_at.
  double rate() const;

 private:
  using Clock = std::chrono::steady_clock;
  void write_file(bool now);
  double seconds_left() const;

  std::string title_, unit_;
  int64_t total_, per_step_, first_ = 0, completed_ = 0;
  bool shown_, terminal_, open_line_ = false;
  Clock::time_point begin_, last_shown_;
  std::filesystem::path file_;
  Clock::time_point last_written_;
  std::vector<std::pair<std::string, double>> figures_;
};

}  // namespace stylescope
