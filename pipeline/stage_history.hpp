#pragma once

#include "pipeline/run_status.hpp"

#include <cstdint>
#include <string>

// What the files of one stage, and Slurm's memory, say of what was. Pure.
namespace stylescope {

// Unix time of a UTC text in stage.json or resume.json; 0 where it is not there.
double time_at(const std::optional<nlohmann::json>& object, const char* key);

// Progress, shares and restarts, as the files tell.
void fill_from_files(const StageFacts& stage, StageStatus& row);
// While shares are at work, the stage's progress is theirs together.
void fill_share_progress(const StageFacts& stage, StageStatus& row);
void fill_done(const StageFacts& stage, StageStatus& row);

// Its folder is finished, and nothing newer was tried since.
bool is_done(const StageFacts& stage);
// The state of its outcome file; "" where it has said nothing since it was submitted.
std::string newest_word(const StageFacts& stage);
// Its last session has ended, and no other one follows.
bool given_up(const StageFacts& stage, const RestartLimits& limits);
// Why its newest session ended, or why it is given up; "" where nobody said.
std::string cause_of(const StageFacts& stage, const RestartLimits& limits);

// Is `id` the stage's own job, or one that goes on for it?
bool is_main(const StageJobs& jobs, int64_t id);
// What Slurm says of the last of these that ended; empty where it knows nothing any more.
struct JobEnding {
  std::string state, text;  // "TIMEOUT", "job 12 ran into its time limit"
};
JobEnding last_ending(const StageJobs& jobs, const RunFacts& facts);

}  // namespace stylescope
