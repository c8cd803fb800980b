#include "pipeline/submit_run.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

#include <set>
#include <vector>

namespace fs = std::filesystem;

namespace stylescope {

QueuedStages still_queued(const Slurm& slurm, const JobBook& book, bool dry_run) {
  std::vector<int64_t> ids;
  for (const auto& [name, jobs] : book.stages)
    for (const auto id : jobs.ids()) ids.push_back(id);
  if (ids.empty() || (dry_run && !slurm.unreachable().empty())) return {};
  std::vector<int64_t> hopeless;
  std::set<int64_t> alive;
  for (const auto& job : slurm.queue(ids)) {
    if (job.reason == "DependencyNeverSatisfied")
      hopeless.push_back(job.id);
    else if (!is_over(job.state))
      alive.insert(job.id);
  }
  if (!dry_run && !hopeless.empty()) slurm.cancel(hopeless);
  QueuedStages queued;
  for (const auto& [name, jobs] : book.stages)
    for (const auto id : jobs.ids())
      if (alive.contains(id)) queued.names.insert(name);
  return queued;
}

void publish_config(Config& config, const SlurmFiles& files, const std::string& conflict,
                    const std::string& elsewhere) {
  const std::string text = to_yaml(config, false);
  std::error_code failure;
  fs::create_directories(files.folder, failure);
  validate(!failure, files.folder.string(), ": cannot be made (", failure.message(), "); ",
           elsewhere);
  if (!conflict.empty() && fs::exists(files.config()) && read_text(files.config()) != text)
    throw UsageError(conflict);
  publish_text(files.config(), text);
}

void publish_config(Config& config, const SlurmFiles& files, const QueuedStages& queued) {
  const auto conflict =
      queued.names.empty()
          ? ""
          : config.run_dir + ": stage '" + *queued.names.begin() +
                "' is queued with another configuration (slurm/config.yaml there); wait for it, or "
                "cancel it (stylescope cancel " +
                config.run_dir + "), then submit again";
  publish_config(config, files, conflict, "choose a run_dir that you may write to");
}

std::string submitted_line(const StageJobs& jobs) {
  std::string line = detail::concatenate(jobs.stage, ": job ", jobs.job);
  if (!jobs.follow_ups.empty())
    line += detail::concatenate(" (and ", jobs.follow_ups.size(), " to go on)");
  for (size_t i = 0; i < jobs.arrays.size(); ++i)
    line += detail::concatenate(i == 0 ? ", after array " : " and ", jobs.arrays[i], " of ",
                                jobs.array_tasks[i], " shares");
  for (size_t i = 0; i < jobs.after.size(); ++i)
    line += (i == 0 ? ", after " : " and ") + jobs.after[i];
  return line;
}

int64_t dry_array_size(const Slurm& slurm) {
  constexpr int64_t kSlurmDefault = 1001;
  return slurm.unreachable().empty() ? slurm.max_array_size() : kSlurmDefault;
}

}  // namespace stylescope
