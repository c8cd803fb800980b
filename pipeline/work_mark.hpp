#pragma once

#include "pipeline/run_directory.hpp"
#include "slurm/sessions.hpp"

#include <string>

namespace stylescope {

// How far a stage is, by what lies on disk: the newest checkpoint of <stage>.partial, and the files
// there that are whole and stay (slides, shards of pairs). A stage that is published, and not being
// made again, is as far as can be: {the largest number, 0}. While others write there.
WorkMark work_mark(const RunDirectory& directory, const std::string& stage);

}  // namespace stylescope
