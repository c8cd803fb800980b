#include "io/stage_state.hpp"

#include <chrono>
#include <fstream>
#include <random>
#include <sstream>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {

fs::path outcome_file(const fs::path& run_dir, const std::string& stage) {
  return run_dir / ("." + stage + ".outcome.json");
}

std::string session_name(const std::string& stage, int64_t task) {
  return task < 0 ? stage : stage + ".task-" + std::to_string(task);
}

std::string progress_file_name(int64_t task) { return session_name("progress", task) + ".json"; }

bool is_stage_news(const std::string& name) {
  if (name.find('/') != std::string::npos) return false;
  return name.starts_with(kCheckpointTimesFile) || name.starts_with("progress.json") ||
         name.starts_with("progress.task-");
}

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

namespace detail {

void replace_text(const fs::path& file, const std::string& text) noexcept {
  try {
    // Process ids repeat from host to host, and inside containers.
    const fs::path fresh = file.string() + ".tmp-" + std::to_string(::getpid()) + "-" +
                           std::to_string(std::random_device()());
    bool whole = false;
    {
      std::ofstream out(fresh, std::ios::trunc);
      out << text;
      out.flush();
      whole = out.good();
    }
    std::error_code failure;
    if (whole) fs::rename(fresh, file, failure);
    if (!whole || failure) fs::remove(fresh, failure);
  } catch (const std::exception&) {
    return;
  }
}

std::optional<nlohmann::json> read_json_if_whole(const fs::path& file) noexcept {
  try {
    std::ifstream in(file);
    if (!in) return std::nullopt;
    std::ostringstream text;
    text << in.rdbuf();
    auto parsed = nlohmann::json::parse(text.str(), nullptr, false);
    if (parsed.is_discarded()) return std::nullopt;
    return parsed;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace detail
}  // namespace stylescope
