#pragma once

#include "pipeline/run_status.hpp"

#include <cstdint>
#include <string>

// Slurm's words in plain ones.
namespace stylescope {

struct QueueWords {
  StageState state = StageState::queued;  // queued, held or blocked
  std::string text;
};
// Of a pending job by squeue's reason; "Dependency" is the caller's.
QueueWords pending_words(const QueuedJob& job, double now);

// "job 12 ran into its time limit", by the state that squeue or sacct gives an ended job. `code`:
// its exit code, where that is known and says something; else -1.
std::string ended_words(int64_t id, const std::string& state, int code);

// "12 min", "3 h", "2 days".
std::string age_words(double seconds);

}  // namespace stylescope
