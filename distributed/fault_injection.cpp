#include "distributed/fault_injection.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

namespace stylescope {
namespace {

constexpr std::array<std::string_view, 5> kKinds{"throw", "kill", "stall", "stop", "disagree"};

std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(':', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool parse(std::string_view text, int64_t& number) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

}  // namespace

FaultInjection::FaultInjection(int rank) {
  const char* variable = std::getenv("STYLESCOPE_FAULT");
  if (!variable) return;
  const auto parts = parts_of(variable);
  int64_t failing = -1;
  const bool fine = parts.size() == 5 &&
                    std::find(kKinds.begin(), kKinds.end(), parts[0]) != kKinds.end() &&
                    parse(parts[1], failing) && parse(parts[3], step_) &&
                    parse(parts[4], countdown_) && countdown_ > 0;
  if (!fine)
    throw UsageError("STYLESCOPE_FAULT is '" + std::string(variable) +
                     "' (not <throw|kill|stall|stop|disagree>:<rank>:<stage>:<step>:<n>, n from "
                     "1); unset it to run without a fault");
  if (failing != rank) return;
  kind_ = parts[0];
  stage_ = parts[2];
}

int64_t FaultInjection::consider(const FlightRecord::Entry& now) {
  if (now.step != step_ || now.activity != stage_ || --countdown_ != 0) return 0;
  return strike();
}

int64_t FaultInjection::strike() const {
  if (kind_ == "throw") throw Error("an injected fault (STYLESCOPE_FAULT)");
  if (kind_ == "kill") std::raise(SIGKILL);
  if (kind_ == "stop") std::raise(SIGSTOP);
  while (kind_ == "stall") std::this_thread::sleep_for(std::chrono::hours(1));
  return kind_ == "disagree" ? 1 : 0;
}

}  // namespace stylescope
