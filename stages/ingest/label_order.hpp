#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <tuple>

namespace stylescope {

// The order of labels that nobody ordered: numbers by their value (2 before 10), then names by
// their letters.
inline bool label_before(const std::string& a, const std::string& b) {
  // Is it a name; of a number how many digits, and which; the text, where 1 and 01 are alike.
  const auto rank = [](const std::string& s) {
    const bool number = !s.empty() && std::all_of(s.begin(), s.end(), [](unsigned char c) {
      return std::isdigit(c) != 0;
    });
    const auto digits = number ? s.substr(std::min(s.find_first_not_of('0'), s.size())) : "";
    return std::tuple(!number, digits.size(), digits, s);
  };
  return rank(a) < rank(b);
}

}  // namespace stylescope
