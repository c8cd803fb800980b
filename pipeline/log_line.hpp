#pragma once

#include <optional>
#include <string>

namespace stylescope {

// A line of a rank's log (io/log.hpp) that carries a severity: "2026-11-25 07:13:05.980 error:
// text".
struct LogLine {
  double time = 0;  // Unix time, in whole seconds
  std::string text;
};
// Nothing for lines of another severity ("error", "warning") and for what is no such line.
std::optional<LogLine> parse_log_line(const std::string& line, const std::string& severity);

}  // namespace stylescope
