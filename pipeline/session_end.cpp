#include "pipeline/session_end.hpp"

#include "distributed/verdict.hpp"
#include "io/stage_state.hpp"
#include "pipeline/log_line.hpp"
#include "pipeline/work_mark.hpp"
#include "slurm/cluster.hpp"

#include <algorithm>
#include <fstream>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// The first error that a rank of the session logged: the others are its echo.
std::string first_error(const fs::path& logs, const std::string& label, double since) {
  std::optional<LogLine> first;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(logs, ignored)) {
    if (!entry.path().filename().string().starts_with(label + ".rank-")) continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      const auto error = parse_log_line(line, "error");
      // Lines carry milliseconds, which the parsing drops.
      if (!error || error->time < since - 1) continue;
      if (!first || error->time < first->time) first = error;
    }
  }
  return first ? first->text : "";
}

std::string short_name(const std::string& host) { return host.substr(0, host.find('.')); }

}  // namespace

std::vector<std::string> suspects_of(const Session& session, const std::set<std::string>& unfit) {
  if (session.nodes.empty()) return {};
  const auto nodes = expand_nodes(session.nodes);
  const auto blamed = short_name(blamed_host(session.cause));
  std::vector<std::string> suspects;
  for (const auto& node : nodes)
    if (unfit.contains(node) || short_name(node) == blamed) suspects.push_back(node);
  return suspects;
}

void judge_session(Session& session, double begun, const RunDirectory& directory,
                   const std::string& stage, int64_t task, const std::set<std::string>& unfit) {
  const std::string label = session_name(stage, task);
  session.mark = work_mark(directory, stage, task);
  const auto outcome = read_state<StageOutcome>(outcome_file(directory.root(), label));
  const std::string state = outcome && outcome->updated >= begun - 1 ? outcome->state : "";
  if (state == "done" || state == "interrupted" || state == "failed") {
    session.outcome = state;
    session.cause = outcome->cause;
    return;
  }
  // Lost without a word of its own, or for a reason that need not come again.
  session.outcome = "lost";
  session.cause =
      state == "broken" ? outcome->cause : first_error(directory.root() / "logs", label, begun);
  if (session.cause.empty())
    session.cause = state.empty()
                        ? "it ended before the stage began"
                        : "it ended without a word (killed, out of memory, or a node lost)";
  session.suspects = suspects_of(session, unfit);
}

}  // namespace stylescope
