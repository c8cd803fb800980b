#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// The history of a stage's sessions (a session: one start of its batch script), and what follows
// from it: go on in another session, or give up. The history is a file of the run directory, since
// Slurm may know nothing any more, or may never have known.
namespace stylescope {

// How far the work on disk is. A session that leaves it as it was made no progress.
struct WorkMark {
  int64_t checkpoint = -1;  // newest step on disk; -1: none
  int64_t files = 0;        // finished pieces (slides, shards of pairs)
  bool operator==(const WorkMark&) const = default;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(WorkMark, checkpoint, files)
};

struct Session {
  int64_t job = 0;             // SLURM_JOB_ID; 0: by hand
  int64_t restart = 0;         // SLURM_RESTART_COUNT
  std::string nodes;           // as SLURM_JOB_NODELIST
  std::string started, ended;  // UTC; ended "": no word of its end (the batch host died, or a kill)
  // done | interrupted | failed | lost (a rank, a node, the program itself) | unknown
  std::string outcome = "unknown";
  std::string cause;
  std::vector<std::string> suspects;  // nodes that failed it
  WorkMark before, mark;              // at its begin, and at its end
};

struct RestartLimits {
  int64_t without_progress = 3;
  int64_t in_all = 100;
};

struct RestartDecision {
  enum class What { done, restart, give_up };
  What what = What::give_up;
  std::string reason;                 // a sentence
  std::vector<std::string> excluded;  // nodes that failed twice or more
};

// Those since the newest submission. A line that was cut off by a kill is passed over.
std::vector<Session> read_sessions(const std::filesystem::path& file);
// Append a line each; an end belongs to the newest begin. A submission wipes the slate: sessions
// before it count no more.
void note_submission(const std::filesystem::path& file);
void note_begin(const std::filesystem::path& file, const Session& session);
void note_end(const std::filesystem::path& file, const Session& session);
// Suspects that were found only after the newest session's end: the cluster may need minutes to see
// that a node is lost.
void note_suspects(const std::filesystem::path& file, const std::vector<std::string>& nodes);

// What follows from the newest session, which has ended. Nothing limits how often work that makes
// progress goes on but `in_all`. Pure.
RestartDecision decide_restart(const std::vector<Session>& sessions, const RestartLimits& limits);
// Nodes that are suspects of two or more sessions.
std::vector<std::string> failed_twice(const std::vector<Session>& sessions);

}  // namespace stylescope
