#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace stylescope {

// A configuration of every key with its help has some 50 kB: what is larger is another file, given
// by mistake, and a YAML parser takes seconds a megabyte.
inline constexpr size_t kLargestConfig = 1'000'000;

// The text of a configuration or site profile; no more of it is read than may be there. `advice`:
// what should have been named. Throws UsageError for what cannot be read, a folder, and a file that
// is larger.
std::string read_config_text(const std::filesystem::path& file, const std::string& advice);

// Throws UsageError unless it is UTF-8 text of at most that size. `file` is the name for messages.
void check_config_text(const std::string& text, const std::string& file);

}  // namespace stylescope
