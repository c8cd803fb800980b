#include "pipeline/log_line.hpp"

#include <ctime>

namespace stylescope {

std::optional<LogLine> parse_log_line(const std::string& line, const std::string& severity) {
  const std::string mark = " " + severity + ": ";
  const auto at = line.find(mark);
  // Behind the time, and nowhere else.
  if (at == std::string::npos || at > 30) return std::nullopt;
  std::tm parts{};
  if (!::strptime(line.c_str(), "%Y-%m-%d %H:%M:%S", &parts)) return std::nullopt;
  parts.tm_isdst = -1;  // local time
  return LogLine{static_cast<double>(::mktime(&parts)), line.substr(at + mark.size())};
}

}  // namespace stylescope
