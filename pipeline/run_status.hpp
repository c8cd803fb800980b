#pragma once

#include "io/stage_state.hpp"
#include "pipeline/file_lock.hpp"
#include "slurm/cluster.hpp"
#include "slurm/job_book.hpp"
#include "slurm/sessions.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// How a run stands: what lies on disk, joined with what Slurm says. Pure; pipeline/run_facts.hpp
// gathers the facts.
namespace stylescope {

enum class StageState {
  done,
  running,
  ending,      // Slurm clears a job away, and it is not said whether it goes on
  restarting,  // cut off; its job is queued again, or another one goes on
  queued,
  held,         // by a user or an administrator
  waits,        // not submitted; an input is not done
  not_started,  // not submitted; nothing is missing
  stopped,      // begun or submitted, and nobody is at work; starting it again goes on
  failed,       // another try would meet the same
  blocked,      // can never start as it is
  unknown,      // submitted, and Slurm cannot be asked
};
const char* name_of(StageState state);  // "not started"
// Does it go on by itself?
bool under_way(StageState state);
// Must somebody do something?
bool needs_somebody(StageState state);

struct ShareFacts {
  std::optional<StageOutcome> outcome;
  std::optional<StageProgress> progress;
};

// What lies on disk of one stage.
struct StageFacts {
  std::string name;
  std::vector<std::string> inputs;
  std::optional<nlohmann::json> record, resume;  // stage.json, resume.json
  std::string damage;                            // what of it could not be read, and why
  bool partial = false;                          // <stage>.partial holds something
  LockView lock;
  std::optional<StageProgress> progress;
  std::optional<StageOutcome> outcome;
  std::vector<Session> sessions;  // since the newest submission
  std::vector<ShareFacts> shares;
  std::string warning;            // the last one of its log
  std::optional<StageJobs> jobs;  // as submitted
};

struct RunFacts {
  std::vector<StageFacts> stages;  // in data-flow order
  bool run_locked = false;         // a whole run is at work in the directory
  std::string unreachable;  // why Slurm cannot be asked; "": it was, or nothing was submitted
  std::vector<QueuedJob> queue;
  std::vector<FinishedJob> accounts;  // empty where the cluster keeps none
  RestartLimits limits;
  double now = 0;  // Unix time
};

struct StageStatus {
  std::string stage;
  StageState state = StageState::not_started;
  std::string reason;  // a few words: "waits for gan", "no news for 12 min"
  bool progress = false;
  int64_t step = 0, total = 0;
  double percent = 0;  // of the whole stage
  double rate = 0;     // of `unit` a second; 0: not known
  std::string unit;
  double seconds_left = -1;  // -1: not known
  std::vector<std::string> nodes;
  int64_t restarts = 0;
  int64_t shares_done = 0, shares = 0;  // of a stage that is shared out
  std::string warning;
  std::vector<int64_t> jobs;  // alive ones
  bool can_go_on = false;     // work is on disk that another start goes on from
};

// A row a stage, in the order of the facts.
std::vector<StageStatus> run_status(const RunFacts& facts);

// Does anything go on by itself? A watch ends when nothing does.
bool run_under_way(const RunFacts& facts, const std::vector<StageStatus>& rows);

}  // namespace stylescope
