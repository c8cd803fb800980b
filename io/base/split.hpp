#pragma once

#include <sstream>
#include <string>
#include <vector>

namespace stylescope {

// The parts between separators that are not empty: "n1,,n2" -> n1 n2.
inline std::vector<std::string> split(const std::string& list, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

}  // namespace stylescope
