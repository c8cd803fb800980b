#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/site_loader.hpp"
#include "pipeline/submit_plan.hpp"

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct SubmitCommand {
  std::string file, from, site_name;
  std::vector<std::string> only, overrides;
  bool dry_run = false, strict = false;

  void answer() {
    if (launched_as_rank() && launched_rank() > 0) return;
    Config config = load_config(file, overrides);
    if (!site_name.empty()) config.slurm.site = site_name;
    const SiteProfile site = load_site(config.slurm.site);
    const SlurmFiles files(fs::absolute(config.run_dir).lexically_normal());
    const Slurm slurm;
    JobBook book = read_job_book(files);
    const QueuedStages queued = still_queued(slurm, book);
    const auto plan = planned(config, site, book, queued);
    for (const auto& note : plan.notes) std::cerr << note << "\n";
    if (dry_run) {
      std::cout << dry_run_text(plan.stages, site, dry_array_size(slurm));
      return tell_others(plan);
    }
    tell_others(plan);
    if (plan.stages.empty()) return;
    if (const auto why = slurm.unreachable(); !why.empty()) throw Error(why);
    publish_config(config, files, queued);
    submit_stages(slurm, plan.stages, site, files, book, [](const StageJobs& jobs) { tell(jobs); });
    std::cout << "watch it: stylescope status " << config.run_dir << " --watch\n";
  }

  SubmitPlan planned(Config& config, const SiteProfile& site, const JobBook& book,
                     const QueuedStages& queued) const {
    const RunKey key{static_cast<uint64_t>(config.seed), config.precision, strict};
    return plan_submission(config, select(stages_of(config), from, only), key, site, book, queued,
                           {fs::current_path(), fs::read_symlink("/proc/self/exe")});
  }

  // A dry run needs no cluster.
  static int64_t dry_array_size(const Slurm& slurm) {
    constexpr int64_t kSlurmDefault = 1001;
    return slurm.unreachable().empty() ? slurm.max_array_size() : kSlurmDefault;
  }

  // Jobs that can never start any more are no reason to wait: they are taken away.
  QueuedStages still_queued(const Slurm& slurm, const JobBook& book) const {
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

  // The jobs read the configuration as it is now, whatever becomes of the file.
  static void publish_config(Config& config, const SlurmFiles& files, const QueuedStages& queued) {
    const std::string text = to_yaml(config, false);
    std::error_code failure;
    fs::create_directories(files.folder, failure);
    validate(!failure, files.folder.string(), ": cannot be made (", failure.message(),
             "); choose a run_dir that you may write to");
    if (!queued.names.empty() && fs::exists(files.config()) && read_text(files.config()) != text)
      throw UsageError(config.run_dir + ": stage '" + *queued.names.begin() +
                       "' is queued with another configuration (slurm/config.yaml there); wait for "
                       "it, or cancel it (stylescope cancel " +
                       config.run_dir + "), then submit again");
    publish_text(files.config(), text);
  }

  static void tell_others(const SubmitPlan& plan) {
    for (const auto& [stage, why] : plan.others) std::cout << stage << ": " << why << "\n";
  }

  static void tell(const StageJobs& jobs) {
    std::string line = detail::concatenate(jobs.stage, ": job ", jobs.job);
    if (!jobs.follow_ups.empty())
      line += detail::concatenate(" (and ", jobs.follow_ups.size(), " to go on)");
    for (size_t i = 0; i < jobs.arrays.size(); ++i)
      line += detail::concatenate(i == 0 ? ", after array " : " and ", jobs.arrays[i], " of ",
                                  jobs.array_tasks[i], " shares");
    for (size_t i = 0; i < jobs.after.size(); ++i)
      line += (i == 0 ? ", after " : " and ") + jobs.after[i];
    std::cout << line << std::endl;
  }
};

}  // namespace

Task add_submit(CLI::App& app) {
  auto command = std::make_shared<SubmitCommand>();
  app.add_option("CONFIG", command->file, "configuration file (YAML)")->required();
  app.add_option("--site", command->site_name,
                 "site profile, over slurm.site: a name in slurm/sites, or a file");
  app.add_option("--from", command->from, "leave out the stages before this one");
  app.add_option("--only", command->only, "these stages alone, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--set", command->overrides,
                 "section.key=value, over what the file says; may be repeated")
      ->allow_extra_args(false);
  app.add_flag("--dry-run", command->dry_run, "print the scripts, and submit nothing");
  app.add_flag("--strict", command->strict, "make stages of another program version again");
  app.footer(
      "Submits what is neither up to date nor queued. Scripts, logs and the list of jobs are "
      "in RUN_DIR/slurm; stylescope status, logs and cancel read them there.");
  return {[command] { command->answer(); }, {}};
}

}  // namespace stylescope
