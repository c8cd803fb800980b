#include "io/base/error.hpp"
#include "pipeline/command.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/run_facts.hpp"
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

  void answer() {
    if (launched_as_rank() && launched_rank() > 0) return;
    const RunView view(run_dir);
    for (const auto& stage : stages) view.check_stage(stage);
    const JobBook book = read_job_book(SlurmFiles(run_dir));
    const auto chosen = with_those_behind(view.stages(), book);
    std::vector<int64_t> ids;
    for (const auto& stage : chosen) {
      // What would go on in the place of a cancelled job goes first.
      auto own = book.stages.at(stage).ids();
      ids.insert(ids.begin(), own.rbegin(), own.rend());
    }
    if (ids.empty()) {
      std::cout << run_dir << ": nothing was submitted" << (stages.empty() ? "" : " of that")
                << "; nothing to cancel\n";
      return;
    }
    cancel(view, chosen, book, ids);
  }

  // In data-flow order, those that were submitted.
  std::vector<std::string> with_those_behind(const std::vector<std::string>& all,
                                             const JobBook& book) const {
    std::set<std::string> wanted(stages.begin(), stages.end());
    std::vector<std::string> chosen;
    for (const auto& stage : all) {
      const auto found = book.stages.find(stage);
      if (found == book.stages.end()) continue;
      const bool behind = std::ranges::any_of(
          found->second.after, [&](const auto& before) { return wanted.contains(before); });
      if (!stages.empty() && !behind && !wanted.contains(stage)) continue;
      wanted.insert(stage);
      chosen.push_back(stage);
    }
    return chosen;
  }

  void cancel(const RunView& view, const std::vector<std::string>& chosen, const JobBook& book,
              const std::vector<int64_t>& ids) const {
    const auto alive = alive_jobs(view.slurm(), ids);
    std::vector<int64_t> doomed;
    for (const auto id : ids)
      if (alive.contains(id)) doomed.push_back(id);
    view.slurm().cancel(doomed);
    bool worked = false;
    for (const auto& stage : chosen) {
      std::string line;
      for (const auto id : book.stages.at(stage).ids()) {
        const auto found = alive.find(id);
        if (found == alive.end()) continue;
        worked = worked || found->second;
        line += detail::concatenate(line.empty() ? " " : ", ", id,
                                    found->second ? " (was at work)" : "");
      }
      if (!line.empty()) std::cout << stage << ": cancelled job" << line << "\n";
    }
    if (doomed.empty()) {
      std::cout << run_dir << ": no job is queued or at work; nothing to cancel\n";
      return;
    }
    if (worked)
      std::cout
          << "Work up to the last checkpoint is kept; a job that was at work may take up to a "
             "minute to end.\n";
    std::cout << "To go on: " << view.start_again() << "\n";
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
  app.footer("What was finished stays, and so do checkpoints.");
  return {[command] { command->answer(); }, {}};
}

}  // namespace stylescope
