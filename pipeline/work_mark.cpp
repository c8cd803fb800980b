#include "pipeline/work_mark.hpp"

#include "io/stage_state.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr std::string_view kCheckpoint = "checkpoint-";

bool is_piece(const std::string& name) {
  const auto ends = [&](const char* ending) { return name.ends_with(ending); };
  return !ends(".jsonl") && !ends(".log") && !ends(".partial") &&
         name.find(".tmp") == std::string::npos && !name.starts_with("progress") &&
         !name.starts_with(kCheckpointTimesFile);
}

}  // namespace

WorkMark work_mark(const RunDirectory& directory, const std::string& stage) {
  std::error_code ignored;
  WorkMark mark;
  if (fs::exists(directory.stage(stage), ignored))
    mark.checkpoint = std::numeric_limits<int64_t>::max();
  const auto none = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at(directory.partial(stage), none, ignored), end;
       !ignored && at != end; at.increment(ignored)) {
    const std::string name = at->path().filename().string();
    if (!at->is_regular_file(ignored)) continue;
    if (name.starts_with(kCheckpoint)) {
      const int64_t step = std::strtoll(name.c_str() + kCheckpoint.size(), nullptr, 10);
      mark.checkpoint = std::max(mark.checkpoint, step);
    } else if (is_piece(name)) {
      ++mark.files;
    }
  }
  return mark;
}

}  // namespace stylescope
