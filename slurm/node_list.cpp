#include "io/base/error.hpp"
#include "slurm/cluster.hpp"

#include <charconv>

namespace stylescope {
namespace {

constexpr size_t kMostNodes = 1 << 20;

[[noreturn]] void refuse(const std::string& list) {
  throw Error("'" + list + "': is no list of nodes as Slurm writes them; write n[1-3,7],gpu04");
}

int64_t number(const std::string& text, const std::string& list) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text[0] == '-' || error != std::errc{} || end != text.data() + text.size())
    refuse(list);
  return value;
}

// "1-3,07" -> 1 2 3 07.
std::vector<std::string> numbers(const std::string& ranges, const std::string& list) {
  std::vector<std::string> all;
  for (size_t at = 0; at <= ranges.size();) {
    const size_t comma = std::min(ranges.find(',', at), ranges.size());
    const std::string range = ranges.substr(at, comma - at);
    at = comma + 1;
    const size_t dash = range.find('-');
    const std::string low = range.substr(0, dash);
    const int64_t first = number(low, list);
    const int64_t last = dash == std::string::npos ? first : number(range.substr(dash + 1), list);
    if (last < first || last - first >= static_cast<int64_t>(kMostNodes)) refuse(list);
    for (int64_t n = first; n <= last; ++n) {
      std::string digits = std::to_string(n);
      if (digits.size() < low.size()) digits.insert(0, low.size() - digits.size(), '0');
      all.push_back(digits);
    }
  }
  return all;
}

// One name with any number of brackets: "r[1-2]n[1-3]".
std::vector<std::string> expand_one(const std::string& name, const std::string& list) {
  const size_t open = name.find('[');
  if (open == std::string::npos) {
    if (name.empty() || name.find_first_of("] \t\n()") != std::string::npos) refuse(list);
    return {name};
  }
  const size_t close = name.find(']', open);
  if (close == std::string::npos || name.substr(0, open).find(']') != std::string::npos)
    refuse(list);
  const std::string rest = name.substr(close + 1);
  const auto tails = rest.empty() ? std::vector<std::string>{""} : expand_one(rest, list);
  std::vector<std::string> all;
  for (const auto& digits : numbers(name.substr(open + 1, close - open - 1), list))
    for (const auto& tail : tails) {
      if (all.size() >= kMostNodes) refuse(list);
      all.push_back(name.substr(0, open) + digits + tail);
    }
  return all;
}

}  // namespace

std::vector<std::string> expand_nodes(const std::string& list) {
  std::vector<std::string> nodes;
  if (list.empty()) return nodes;
  int depth = 0;
  size_t begin = 0;
  for (size_t at = 0; at <= list.size(); ++at) {
    if (at < list.size() && list[at] == '[') ++depth;
    if (at < list.size() && list[at] == ']') --depth;
    if (at < list.size() && (list[at] != ',' || depth > 0)) continue;
    for (auto& node : expand_one(list.substr(begin, at - begin), list)) nodes.push_back(node);
    begin = at + 1;
  }
  return nodes;
}

}  // namespace stylescope
