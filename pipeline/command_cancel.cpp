#include "io/base/error.hpp"
#include "pipeline/command.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/run_facts.hpp"
#include "pipeline/sweep.hpp"
#include "slurm/job_book.hpp"

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <set>

namespace stylescope {
namespace {

struct CancelCommand {
  std::string run_dir;
  std::vector<std::string> stages;

  // The jobs of a stage; "run " before its name where several runs are cancelled.
  struct Chosen {
    std::string label;
    std::vector<int64_t> ids;
  };

  void answer() {
    if (launched_as_rank() && launched_rank() > 0) return;
    const RunView view(run_dir);
    for (const auto& stage : stages) view.check_stage(stage);
    auto chosen = chosen_of(view, "");
    std::string unread;
    const auto sweep = stages.empty() ? read_sweep(run_dir) : std::vector<SweepRun>{};
    for (const auto& run : sweep) {
      const auto dir = sweep_folder(run_dir) / run.point.slug;
      if (!std::filesystem::exists(SlurmFiles(dir).config())) continue;
      // One that cannot be read keeps nobody from cancelling the others.
      try {
        const auto more = chosen_of(RunView(dir), run.point.slug + " ");
        chosen.insert(chosen.end(), more.begin(), more.end());
      } catch (const Error& error) {
        unread += detail::concatenate(unread.empty() ? "" : "; ", error.what());
      }
    }
    if (chosen.empty()) {
      std::cout << run_dir << ": nothing was submitted" << (stages.empty() ? "" : " of that")
                << "; nothing to cancel\n";
      return;
    }
    if (cancel(view.slurm(), chosen)) std::cout << "To go on: " << view.start_again() << "\n";
    validate(unread.empty(), unread, "; the jobs of that run were not cancelled");
  }

  // In data-flow order, those that were submitted: the chosen stages and those behind them. Stages
  // of a sweep's base run are not cancelled with one of its runs: others wait for them too.
  std::vector<Chosen> chosen_of(const RunView& view, const std::string& label) const {
    const JobBook book = read_job_book(SlurmFiles(view.dir()));
    auto all = view.stages();
    if (stages.empty()) all.push_back(kSweepJob);
    std::set<std::string> wanted(stages.begin(), stages.end());
    std::vector<Chosen> chosen;
    for (const auto& stage : all) {
      const auto found = book.stages.find(stage);
      if (found == book.stages.end() || is_shared(view.dir() / stage)) continue;
      const bool behind = std::ranges::any_of(
          found->second.after, [&](const auto& before) { return wanted.contains(before); });
      if (!stages.empty() && !behind && !wanted.contains(stage)) continue;
      wanted.insert(stage);
      chosen.push_back({label + stage, found->second.ids()});
    }
    return chosen;
  }

  // Was there a job to cancel?
  bool cancel(const Slurm& slurm, const std::vector<Chosen>& chosen) const {
    std::vector<int64_t> ids, doomed;
    // What would go on in the place of a cancelled job goes first.
    for (const auto& [label, own] : chosen) ids.insert(ids.begin(), own.rbegin(), own.rend());
    const auto alive = alive_jobs(slurm, ids);
    for (const auto id : ids)
      if (alive.contains(id)) doomed.push_back(id);
    slurm.cancel(doomed);
    bool worked = false;
    for (const auto& [label, own] : chosen) {
      std::string line;
      for (const auto id : own) {
        const auto found = alive.find(id);
        if (found == alive.end()) continue;
        worked = worked || found->second;
        line += detail::concatenate(line.empty() ? " " : ", ", id,
                                    found->second ? " (was at work)" : "");
      }
      if (!line.empty()) std::cout << label << ": cancelled job" << line << "\n";
    }
    if (doomed.empty())
      std::cout << run_dir << ": no job is queued or at work; nothing to cancel\n";
    if (worked)
      std::cout
          << "Work up to the last checkpoint is kept; a job that was at work may take up to a "
             "minute to end.\n";
    return !doomed.empty();
  }

  // Those not over, and whether they were at work.
  static std::map<int64_t, bool> alive_jobs(const Slurm& slurm, const std::vector<int64_t>& ids) {
    std::map<int64_t, bool> alive;
    for (const auto& job : slurm.queue(ids)) {
      if (is_over(job.state)) continue;
      alive[job.id] = alive[job.id] || job.state != "PENDING";
    }
    return alive;
  }
};

}  // namespace

Task add_cancel(CLI::App& app) {
  auto command = std::make_shared<CancelCommand>();
  app.add_option("RUN_DIR", command->run_dir, "the run directory")->required();
  app.add_option("STAGE", command->stages,
                 "the jobs of these stages alone, and of those that wait for them");
  app.footer(
      "What was finished stays, and so do checkpoints. Of a sweep's base run, all runs of the "
      "sweep "
      "are cancelled; of one of these, what it does not share with others.");
  return {[command] { command->answer(); }, {}};
}

}  // namespace stylescope
