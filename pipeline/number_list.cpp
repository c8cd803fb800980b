#include "pipeline/number_list.hpp"

#include "io/base/error.hpp"

#include <charconv>
#include <sstream>

namespace stylescope {
namespace {

constexpr int64_t kLongest = 100'000'000;

bool parse(const std::string& text, int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && number >= 0;
}

}  // namespace

std::vector<int64_t> parse_numbers(const std::string& option, const std::string& text) {
  const auto refuse = [&](const std::string& why) {
    throw UsageError(option + " " + text + ": " + why +
                     "; write numbers and ranges such as 0-15,20");
  };
  std::vector<int64_t> numbers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const auto dash = part.find('-');
    int64_t first = 0, last = 0;
    const bool fine = dash == std::string::npos ? parse(part, first) && parse(part, last)
                                                : parse(part.substr(0, dash), first) &&
                                                      parse(part.substr(dash + 1), last);
    if (!fine) refuse("'" + part + "' is no whole number or range");
    if (last < first) refuse("the range '" + part + "' runs backwards");
    if (last - first >= kLongest - static_cast<int64_t>(numbers.size()))
      refuse("these are too many");
    for (int64_t n = first; n <= last; ++n) numbers.push_back(n);
  }
  if (numbers.empty()) refuse("holds no number");
  return numbers;
}

}  // namespace stylescope
