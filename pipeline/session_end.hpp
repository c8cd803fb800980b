#pragma once

#include "pipeline/run_directory.hpp"
#include "slurm/sessions.hpp"

#include <set>
#include <string>

// What became of a stage's session, read from the run directory.
namespace stylescope {

// Fills in outcome, cause, suspects and mark of a session that began at `begun` (Unix time).
// `task`: of a share, else -1. Suspects are nodes of the session that are in `unfit` (they
// do not answer, or are down or drained), and the host that the ranks' own verdict blamed (logs/).
void judge_session(Session& session, double begun, const RunDirectory& directory,
                   const std::string& stage, int64_t task, const std::set<std::string>& unfit);

// The nodes of an ended session that it can be blamed on now.
std::vector<std::string> suspects_of(const Session& session, const std::set<std::string>& unfit);

}  // namespace stylescope
