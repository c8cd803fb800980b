#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// Inputs that cannot be used: listed, counted, and too many of them fail the stage.
namespace stylescope {

struct BadFile {
  std::string path;
  std::string reason;
};

// CSV: path, reason. Published whole.
void write_bad_files(const std::filesystem::path& file, const std::vector<BadFile>& bad);

// What of "<path>: <reason>" is the reason: the list has the path in a column of its own.
std::string reason_without_file(const std::string& message, const std::string& path);

// How many of how many inputs are bad, and where that is configured.
struct BadShare {
  std::string where;  // the folder they came from
  std::string what;   // "pictures", "slides"
  std::string key;    // "ingest.max_bad_fraction"
  double allowed = 0;
};
// Throws Error when more than the allowed share of `listed` are bad, naming the first three and
// `list`, the file that has them all.
void check_bad_share(const BadShare& share, const std::vector<BadFile>& bad, int64_t listed,
                     const std::string& list);

// A field of a CSV line, quoted where it must be.
std::string csv_field(const std::string& text);

}  // namespace stylescope
