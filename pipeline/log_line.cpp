#include "pipeline/log_line.hpp"

#include <ctime>

namespace stylescope {

std::optional<LogLine> parse_log_line(const std::string& line, const std::string& severity) {
  std::tm parts{};
  const char* rest = ::strptime(line.c_str(), "%Y-%m-%d %H:%M:%S", &parts);
  if (!rest) return std::nullopt;
  const size_t time = static_cast<size_t>(rest - line.c_str());
  const std::string mark = " " + severity + ": ";
  const size_t at = line.find_first_not_of(".0123456789", time);
  if (at == std::string::npos || line.compare(at, mark.size(), mark) != 0) return std::nullopt;
  parts.tm_isdst = -1;  // local time
  return LogLine{static_cast<double>(::mktime(&parts)), line.substr(at + mark.size())};
}

}  // namespace stylescope
