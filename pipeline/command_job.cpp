#include "io/base/error.hpp"
#include "io/base/split.hpp"
#include "io/stage_state.hpp"
#include "io/utc_time.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/session_end.hpp"
#include "pipeline/work_mark.hpp"
#include "slurm/cluster.hpp"
#include "slurm/job_book.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>

namespace stylescope {
namespace {

int64_t number_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::strtoll(text, nullptr, 10) : 0;
}

std::string text_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? text : "";
}

std::set<std::string> nodes_in(const std::string& list) {
  const auto names = split(list, ',');
  return {names.begin(), names.end()};
}

// What a batch script asks before and after its ranks. The answer is a line on stdout; why, on
// stderr, which is the job's log.
struct JobCommand {
  std::string run_dir, stage, task, unfit;
  int code = 0;
  bool ends = false;

  // "tile.task-3" and "tile.3" for a share.
  std::string label() const { return session_name(stage, task_number()); }
  int64_t task_number() const {
    return task.empty() ? -1 : std::strtoll(share().c_str(), nullptr, 10);
  }
  std::string name() const { return task.empty() ? stage : stage + "." + share(); }
  std::string share() const { return task.substr(0, task.find('/')); }

  std::filesystem::path history() const { return SlurmFiles(run_dir).sessions(name()); }

  void answer() {
    const RunDirectory directory(run_dir);
    validate(std::filesystem::is_directory(run_dir), run_dir,
             ": is no run directory; the batch scripts of stylescope submit call this command");
    if (ends)
      end(directory);
    else
      begin(directory);
  }

  static void say(const std::string& sentence) {
    std::cerr << "stylescope: " << utc_time() << ": " << sentence << std::endl;
  }

  RestartLimits limits() const {
    Config config = load_config(SlurmFiles(run_dir).config(), {});
    return {config.slurm.restarts_without_progress, config.slurm.restarts};
  }

  void begin(const RunDirectory& directory) {
    auto sessions = read_sessions(history());
    if (!sessions.empty()) {
      if (sessions.back().ended.empty())
        close(directory, sessions.back());
      else
        look_again(sessions.back());
      const auto decision = decide_restart(sessions, limits());
      if (decision.what != RestartDecision::What::restart) return give(decision);
      if (const auto barred = barred_here(decision.excluded); !barred.empty()) {
        say("this allocation has " + barred + ", which failed twice");
        note_refused(directory);
        return print_restart(decision.excluded);
      }
    }
    Session session = fresh(directory);
    note_begin(history(), session);
    std::error_code ignored;
    std::filesystem::remove(outcome_file(run_dir, label()), ignored);
    say(detail::concatenate(stage, task.empty() ? "" : " (share " + task + ")", ": session ",
                            sessions.size() + 1, " begins",
                            session.job > 0 ? detail::concatenate(" as job ", session.job) : "",
                            session.nodes.empty() ? "" : " on " + session.nodes));
    std::cout << "go" << std::endl;
  }

  void end(const RunDirectory& directory) {
    auto sessions = read_sessions(history());
    if (sessions.empty()) sessions.push_back(fresh(directory));
    close(directory, sessions.back());
    say(detail::concatenate(stage, ": session ", sessions.size(),
                            " ended: ", sessions.back().outcome,
                            sessions.back().cause.empty() ? "" : " (" + sessions.back().cause + ")",
                            "; exit code of the launcher ", code));
    give(decide_restart(sessions, limits()));
  }

  Session fresh(const RunDirectory& directory) const {
    Session session;
    session.job = number_of("SLURM_JOB_ID");
    session.restart = number_of("SLURM_RESTART_COUNT");
    session.nodes = text_of("SLURM_JOB_NODELIST");
    session.started = utc_time();
    session.before = session.mark = work_mark(directory, stage, task_number());
    return session;
  }

  void close(const RunDirectory& directory, Session& session) {
    judge_session(session, unix_time_of(session.started), directory, stage, task_number(),
                  nodes_in(unfit));
    session.ended = utc_time();
    note_end(history(), session);
    for (const auto& node : session.suspects) say("node " + node + " is a suspect of this end");
  }

  // When the session ended, Slurm may not have known yet that a node of it was gone.
  void look_again(Session& session) const {
    if (session.outcome != "lost" || !session.suspects.empty()) return;
    session.suspects = suspects_of(session, nodes_in(unfit));
    if (!session.suspects.empty()) note_suspects(history(), session.suspects);
  }

  // A session that did not begin counts as one that made no progress, so that this cannot go on
  // for ever.
  void note_refused(const RunDirectory& directory) {
    Session session = fresh(directory);
    note_begin(history(), session);
    session.ended = utc_time();
    session.outcome = "lost";
    session.cause = "it was given nodes that failed twice";
    note_end(history(), session);
  }

  static std::string barred_here(const std::vector<std::string>& excluded) {
    const std::string list = text_of("SLURM_JOB_NODELIST");
    if (list.empty()) return "";
    for (const auto& node : expand_nodes(list))
      if (std::ranges::find(excluded, node) != excluded.end()) return "node " + node;
    return "";
  }

  static void print_restart(const std::vector<std::string>& excluded) {
    std::string nodes;
    for (const auto& node : excluded) nodes += (nodes.empty() ? "" : ",") + node;
    std::cout << "restart" << (nodes.empty() ? "" : " ") << nodes << std::endl;
  }

  static void give(const RestartDecision& decision) {
    using What = RestartDecision::What;
    if (decision.what == What::restart) {
      std::string nodes;
      for (const auto& node : decision.excluded) nodes += " " + node;
      say("goes on in another session" +
          (nodes.empty() ? "" : ", without node(s)" + nodes + ", which failed twice"));
      return print_restart(decision.excluded);
    }
    if (decision.what == What::give_up) say("gives up: " + decision.reason);
    std::cout << (decision.what == What::done ? "done" : "give-up") << std::endl;
  }
};

void declare(CLI::App& app, const std::shared_ptr<JobCommand>& command) {
  app.add_option("RUN_DIR", command->run_dir, "the run directory")->required();
  app.add_option("STAGE", command->stage, "the stage")->required();
  app.add_option("--task", command->task, "the share, as run --task takes it");
  app.add_option("--unfit", command->unfit,
                 "nodes of the cluster that are down or drained, separated by commas");
}

}  // namespace

Task add_job(CLI::App& app) {
  auto command = std::make_shared<JobCommand>();
  app.require_subcommand(1);
  CLI::App* begin = app.add_subcommand(
      "begin", "before the ranks: prints go, done, restart [NODES to exclude] or give-up");
  CLI::App* end = app.add_subcommand("end", "after them: prints done, restart [NODES] or give-up");
  declare(*begin, command);
  declare(*end, command);
  end->add_option("--exit", command->code, "exit code of the launcher (told, not trusted)");
  end->callback([command] { command->ends = true; });
  app.footer(
      "Whether a stage goes on is read from the run directory: how its last sessions ended, "
      "and whether they left a new checkpoint.");
  return {[command] { command->answer(); }, {}};
}

}  // namespace stylescope
