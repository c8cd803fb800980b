#pragma once

#include "pipeline/run_directory.hpp"
#include "slurm/sessions.hpp"

#include <string>

namespace stylescope {

// How far a stage's work on disk is: the newest checkpoint of <stage>.partial, and how many
// finished files it holds besides (logs, news and what is being written left out). A published
// stage is as far as can be.
WorkMark work_mark(const RunDirectory& directory, const std::string& stage);

}  // namespace stylescope
