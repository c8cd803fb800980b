#include "pipeline/queue_words.hpp"

#include "io/base/error.hpp"

#include <cmath>
#include <ctime>
#include <map>

namespace stylescope {
namespace {

using detail::concatenate;

bool is_held(const std::string& reason) {
  return reason.find("Held") != std::string::npos || reason.find("held") != std::string::npos ||
         reason.find("JobHoldMaxRequeue") != std::string::npos;
}

// Hours and minutes; the date too where it is not today.
std::string clock(const std::string& start, double now) {
  if (start.size() < 16) return start;
  const auto seconds = static_cast<std::time_t>(now);
  std::tm today{};
  ::localtime_r(&seconds, &today);
  char date[16];
  std::strftime(date, sizeof date, "%Y-%m-%d", &today);
  if (start.starts_with(date)) return start.substr(11);
  return start.substr(0, 10) + " " + start.substr(11, 5);
}

}  // namespace

QueueWords pending_words(const QueuedJob& job, double now) {
  using State = StageState;
  static const std::map<std::string, std::string> kWords{
      {"None", "was just submitted"},
      {"Resources", "waits for resources"},
      {"Priority", "waits for its turn: jobs with a higher priority are before it"},
      {"JobArrayTaskLimit", "waits for other shares (array_limit)"},
      {"Licenses", "waits for a licence"},
      {"Reservation", "waits for its reservation"},
      {"PartitionDown", "waits: its partition is down"},
      {"PartitionInactive", "waits: its partition is closed"},
      {"NodeDown", "waits: a node that it needs is down"},
      {"Cleaning", "waits until its last session is cleared away"},
  };
  const std::string& reason = job.reason;
  if (is_held(reason))
    return {State::held, reason.find("Admin") != std::string::npos ? "held by an administrator"
                         : job.restarts > 0 ? "requeued, and held (" + reason + ")"
                                            : "held"};
  if (reason == "DependencyNeverSatisfied")
    return {State::blocked, "can never start: what it waited for did not succeed"};
  if (asks_in_vain(reason))
    return {State::blocked, "asks for more or other than it can get here (" + reason + ")"};
  if (reason == "BeginTime") return {State::queued, "may begin at " + clock(job.start, now)};
  if (reason.starts_with("QOS") || reason.starts_with("Assoc") || reason.starts_with("Max"))
    return {State::queued, "waits: a limit of its account or QOS is reached (" + reason + ")"};
  if (reason.find("ReqNodeNotAvail") != std::string::npos ||
      reason.find("Nodes required for job are DOWN") != std::string::npos)
    return {State::queued, "waits for nodes that are down, drained or reserved"};
  const auto words = kWords.find(reason);
  return {State::queued, words == kWords.end() ? "waits (" + reason + ")" : words->second};
}

std::string ended_words(int64_t id, const std::string& state, int code) {
  static const std::map<std::string, std::string> kWords{
      {"CANCELLED", "was cancelled"},
      {"TIMEOUT", "ran into its time limit"},
      {"NODE_FAIL", "lost a node"},
      {"OUT_OF_MEMORY", "ran out of memory"},
      {"PREEMPTED", "was preempted"},
      {"BOOT_FAIL", "got nodes that did not start"},
      {"DEADLINE", "missed its deadline"},
      {"COMPLETED", "ended as if all was well"},
      {"FAILED", "failed"},
  };
  const auto words = kWords.find(state);
  const std::string text =
      concatenate("job ", id, " ", words == kWords.end() ? "ended as " + state : words->second);
  return code > 0 ? concatenate(text, " (exit code ", code, ")") : text;
}

std::string age_words(double seconds) {
  const auto minutes = static_cast<int64_t>(std::llround(std::max(0.0, seconds) / 60));
  if (minutes < 120) return concatenate(minutes, " min");
  if (minutes < 48 * 60) return concatenate((minutes + 30) / 60, " h");
  return concatenate((minutes + 720) / 1440, " days");
}

}  // namespace stylescope
