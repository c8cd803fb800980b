#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

// metrics.jsonl: one JSON object a line, each with its "step". On resume it is cut back to the
// checkpoint's step, so that no step stands there twice and none is missing.
namespace stylescope {

class MetricsLog {
 public:
  MetricsLog() = default;  // writes nothing (ranks other than the root)
  explicit MetricsLog(std::filesystem::path file);
  // Drops every line with a step >= first_step (and a last line that was cut off), atomically.
  void cut_back(int64_t first_step);
  void write(const nlohmann::ordered_json& line);
  // Returns when all lines written so far are on disk. From any thread.
  void sync() const;

 private:
  std::filesystem::path file_;
};

// All lines of a file, for reports. A cut-off last line is left out.
std::vector<nlohmann::json> read_metrics(const std::filesystem::path& file);

}  // namespace stylescope
