#include "slurm/sessions.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;
using What = RestartDecision::What;

// One write: lines of scripts that end at the same time do not mix.
void append_line(const fs::path& file, const json& line) {
  std::error_code failure;
  fs::create_directories(file.parent_path(), failure);
  const std::string text = line.dump() + "\n";
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const bool whole =
      out >= 0 && ::write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (out >= 0) ::close(out);
  validate(whole, file.string(),
           ": cannot be written; check the run directory's permissions and free space");
}

void apply_end(const json& line, Session& session) {
  session.ended = line.at("time");
  session.outcome = line.at("outcome");
  session.cause = line.at("cause");
  session.suspects = line.at("suspects").get<std::vector<std::string>>();
  session.mark = line.at("mark").get<WorkMark>();
}

Session begun(const json& line) {
  Session session;
  session.job = line.at("job");
  session.restart = line.at("restart");
  session.nodes = line.at("nodes");
  session.started = line.at("time");
  session.before = session.mark = line.at("mark").get<WorkMark>();
  return session;
}

int64_t vain_sessions(const std::vector<Session>& sessions) {
  int64_t vain = 0;
  for (auto at = sessions.rbegin(); at != sessions.rend() && at->mark == at->before; ++at) ++vain;
  return vain;
}

std::string with_cause(const Session& session) {
  return session.cause.empty() ? session.outcome : session.outcome + ": " + session.cause;
}

}  // namespace

std::vector<Session> read_sessions(const fs::path& file) {
  std::vector<Session> sessions;
  std::ifstream in(file);
  for (std::string text; std::getline(in, text);) {
    const json line = json::parse(text, nullptr, false);
    if (line.is_discarded()) continue;
    try {
      const std::string event = line.at("event");
      if (event == "submitted") sessions.clear();
      if (event == "begin") sessions.push_back(begun(line));
      if (event == "suspects" && !sessions.empty())
        sessions.back().suspects = line.at("nodes").get<std::vector<std::string>>();
      if (event == "end" && !sessions.empty()) apply_end(line, sessions.back());
    } catch (const json::exception&) {
      continue;
    }
  }
  return sessions;
}

void note_submission(const fs::path& file) { append_line(file, {{"event", "submitted"}}); }

void note_begin(const fs::path& file, const Session& session) {
  append_line(file, {{"event", "begin"},
                     {"time", session.started},
                     {"job", session.job},
                     {"restart", session.restart},
                     {"nodes", session.nodes},
                     {"mark", session.before}});
}

void note_end(const fs::path& file, const Session& session) {
  append_line(file, {{"event", "end"},
                     {"time", session.ended},
                     {"outcome", session.outcome},
                     {"cause", session.cause},
                     {"suspects", session.suspects},
                     {"mark", session.mark}});
}

void note_suspects(const fs::path& file, const std::vector<std::string>& nodes) {
  append_line(file, {{"event", "suspects"}, {"nodes", nodes}});
}

std::vector<std::string> failed_twice(const std::vector<Session>& sessions) {
  std::map<std::string, int> failures;
  for (const auto& session : sessions)
    for (const auto& node : session.suspects) ++failures[node];
  std::vector<std::string> nodes;
  for (const auto& [node, count] : failures)
    if (count >= 2) nodes.push_back(node);
  return nodes;
}

RestartDecision decide_restart(const std::vector<Session>& sessions, const RestartLimits& limits) {
  SS_CHECK(!sessions.empty());
  const Session& last = sessions.back();
  if (last.outcome == "done") return {What::done, "the stage is done", {}};
  if (last.outcome == "failed")
    return {What::give_up, "the stage failed, and would fail again: " + last.cause, {}};
  if (const auto vain = vain_sessions(sessions);
      vain >= std::max<int64_t>(limits.without_progress, 1))
    return {
        What::give_up,
        detail::concatenate(
            vain, " sessions in a row left the work as it was (the last one: ", with_cause(last),
            "); give the job more time or memory, or look into its log, and submit again"),
        {}};
  if (const auto all = static_cast<int64_t>(sessions.size()); all > limits.in_all)
    return {What::give_up,
            detail::concatenate(all, " sessions are more than slurm.restarts allows; submit again"),
            {}};
  return {What::restart, with_cause(last), failed_twice(sessions)};
}

}  // namespace stylescope
