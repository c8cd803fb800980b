#pragma once

#include "pipeline/scale_page.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stylescope {

// What one run of `bench scale` leaves for a report over several: scale.json.
struct ScaleRun {
  // What must be the same of two runs that are compared: batches, resolution, threads, device, ...
  nlohmann::json settings = nlohmann::json::object();
  std::string time;                // UTC
  std::vector<std::string> hosts;  // distinct, sorted
  int64_t ranks = 0;
  int64_t wrong = 0;  // results
  ScaleFindings findings;
};

inline constexpr const char* kScaleRunFile = "scale.json";
inline constexpr const char* kScalePageFile = "scale.html";

// Every number comes back as it was. Throws Error.
void write_scale_run(const std::filesystem::path& file, const ScaleRun& run);
// Throws Error for what is damaged, incomplete, or of another format.
ScaleRun read_scale_run(const std::filesystem::path& file);

}  // namespace stylescope
