#include "io/base/error.hpp"
#include "pipeline/command.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/run_facts.hpp"
#include "pipeline/status_table.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

namespace stylescope {
namespace {

// Watching, Slurm's controller is asked no more often than this.
constexpr double kQueueSeconds = 5;

struct StatusCommand {
  std::string run_dir;
  bool watch = false, json = false;
  double interval = 2;

  struct Answer {
    std::string text, unreachable;
    std::vector<StageStatus> rows;
    bool under_way = false;
  };

  // Watching, a terminal is redrawn; elsewhere only what changed is printed again.
  void answer() {
    if (launched_as_rank() && launched_rank() > 0) return;
    RunView view(run_dir);
    const bool redraws = watch && !json && ::isatty(STDOUT_FILENO) != 0;
    std::optional<Answer> shown;
    while (true) {
      Answer now = look(view, watch ? std::max(interval, kQueueSeconds) : 0);
      if (!shown || redraws || now.text != shown->text || now.unreachable != shown->unreachable)
        show(now, redraws);
      shown = std::move(now);
      if (!watch || !shown->under_way) break;
      std::this_thread::sleep_for(std::chrono::duration<double>(interval));
    }
    end_with(shown->rows);
  }

  Answer look(RunView& view, double queue_seconds) const {
    const RunFacts facts = view.facts(queue_seconds);
    Answer now;
    now.rows = run_status(facts);
    now.under_way = run_under_way(facts, now.rows);
    now.unreachable = facts.unreachable;
    if (json) {
      now.text = status_json(now.rows).dump(2) + "\n";
      return now;
    }
    now.text = status_table(now.rows, width());
    const auto sentences = what_to_do(now.rows, run_dir, view.start_again());
    if (!sentences.empty()) now.text += "\n";
    for (const auto& sentence : sentences) now.text += sentence + "\n";
    return now;
  }

  static size_t width() {
    winsize size{};
    const bool known = ::isatty(STDOUT_FILENO) != 0 &&
                       ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 0;
  }

  void show(const Answer& now, bool redraws) const {
    if (redraws) std::cout << "\033[H\033[2J";
    std::cout << now.text << std::flush;
    if (!now.unreachable.empty())
      std::cerr << "Slurm cannot be asked, so this is what the run directory tells: "
                << now.unreachable << std::endl;
  }

  // The rows have said why; this is the exit code, and a line for who reads only stderr.
  void end_with(const std::vector<StageStatus>& rows) const {
    std::string bad;
    for (const auto& row : rows)
      if (needs_somebody(row.state))
        bad += (bad.empty() ? "" : ", ") + row.stage + " (" + name_of(row.state) + ")";
    validate(bad.empty(), run_dir, ": needs you: ", bad);
  }
};

}  // namespace

Task add_status(CLI::App& app) {
  auto command = std::make_shared<StatusCommand>();
  app.add_option("RUN_DIR", command->run_dir, "the run directory")->required();
  app.add_flag("--watch", command->watch,
               "look again and again, until nothing is under way any more");
  app.add_option("--interval", command->interval, "seconds between two looks")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  app.add_flag("--json", command->json, "an array of objects, one a stage");
  app.footer(
      "Exit code 0: every stage is done, under way, or waits for what can come. 1: one failed, "
      "stopped, is held, or can never start.");
  return {[command] { command->answer(); }, {}};
}

}  // namespace stylescope
