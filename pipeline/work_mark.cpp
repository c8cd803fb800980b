#include "pipeline/work_mark.hpp"

#include "io/checkpoint.hpp"
#include "io/stage_state.hpp"

#include <filesystem>
#include <limits>
#include <system_error>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// `name`: relative to the stage's folder.
bool is_piece(const fs::path& name) {
  const std::string top = name.begin()->string();
  // Claims of a queue are empty files that a killed session leaves behind.
  if (top == "checkpoints" || top == "queue" || top.starts_with("queue.task-")) return false;
  const std::string ending = name.extension().string();
  return ending != ".jsonl" && ending != ".log" && ending != ".partial" &&
         !ending.starts_with(".tmp") && !is_stage_news(name.string()) && name != "resume.json" &&
         name != "stage.json";
}

int64_t count_pieces(const fs::path& folder) {
  int64_t pieces = 0;
  std::error_code gone;  // files come and go
  fs::recursive_directory_iterator entry(folder, gone);
  for (; !gone && entry != fs::recursive_directory_iterator(); entry.increment(gone)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && is_piece(entry->path().lexically_relative(folder)))
      ++pieces;
  }
  return pieces;
}

}  // namespace

WorkMark work_mark(const RunDirectory& directory, const std::string& stage, int64_t task) {
  const fs::path folder = directory.partial(stage);
  if (!directory.has_partial(stage) && fs::exists(directory.stage(stage)))
    return {std::numeric_limits<int64_t>::max(), 0};
  WorkMark mark;
  if (task >= 0) {
    const auto progress = read_state<StageProgress>(folder / progress_file_name(task));
    if (progress) mark.files = progress->step;
    return mark;
  }
  if (const fs::path checkpoints = folder / "checkpoints"; fs::is_directory(checkpoints)) {
    const auto steps = CheckpointDirectory(checkpoints, 1).steps();
    if (!steps.empty()) mark.checkpoint = steps.back();
  }
  mark.files = count_pieces(folder);
  return mark;
}

}  // namespace stylescope
