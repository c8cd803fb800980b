#pragma once

#include "pipeline/run_directory.hpp"
#include "slurm/sessions.hpp"

#include <string>

namespace stylescope {

// How far a stage is, by what lies on disk: the newest checkpoint of <stage>.partial, and the files
// there that are whole and stay (slides, shards of pairs). A stage that is published, and not being
// made again, is as far as can be: {the largest number, 0}. While others write there.
// Of a task (-1: none) the pieces are how many of its own it has come to (progress.json): files do
// not tell whose they are.
WorkMark work_mark(const RunDirectory& directory, const std::string& stage, int64_t task = -1);

}  // namespace stylescope
