#include "io/base/error.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/site_loader.hpp"
#include "pipeline/submission_estimate.hpp"
#include "pipeline/submit_plan.hpp"
#include "pipeline/submit_run.hpp"
#include "pipeline/sweep_submission.hpp"

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct SubmitCommand {
  std::string file, from, site_name;
  std::vector<std::string> only, overrides, sweeps;
  bool dry_run = false, strict = false;
  EstimateSources sources;

  void answer() {
    if (launched_as_rank() && launched_rank() > 0) return;
    Config config = load_config(file, overrides);
    if (!site_name.empty()) config.slurm.site = site_name;
    SiteProfile site = load_site(config.slurm.site);
    if (!sweeps.empty()) return submit_sweep(config, site);
    if (const auto base = base_of(config.run_dir); !base.empty()) {
      check_base(config, base);
      site.mounts.push_back(base.string());
    }
    const SlurmFiles files(fs::absolute(config.run_dir).lexically_normal());
    const Slurm slurm;
    JobBook book = read_job_book(files);
    const QueuedStages queued = still_queued(slurm, book, dry_run);
    const auto plan = planned(config, site, book, queued);
    for (const auto& note : plan.notes) std::cerr << note << "\n";
    if (dry_run) {
      std::cout << dry_run_text(plan.stages, site, dry_array_size(slurm));
      tell_others(plan);
      std::cout << submission_estimate(config, plan, sources);
      return;
    }
    tell_others(plan);
    if (plan.stages.empty()) return;
    if (const auto why = slurm.unreachable(); !why.empty()) throw Error(why);
    publish_config(config, files, queued);
    submit_stages(slurm, plan.stages, site, files, book,
                  [](const StageJobs& jobs) { std::cout << submitted_line(jobs) << std::endl; });
    std::cout << "watch it: stylescope status " << config.run_dir << " --watch\n";
  }

  // Made again in a run of a sweep, a stage would be no longer the one that all runs share.
  void check_base(Config& config, const fs::path& base) const {
    for (const auto& stage : select(stages_of(config), from, only))
      if (const fs::path link = fs::path(config.run_dir) / stage.name;
          is_shared(link) && !fs::exists(link))
        throw UsageError(config.run_dir + ": stage '" + stage.name +
                         "' is made by the sweep's base run " + base.string() +
                         " and is not there yet; submit with --sweep again");
  }

  void submit_sweep(Config& config, const SiteProfile& site) const {
    if (!from.empty() || !only.empty())
      throw UsageError(
          "--sweep: submits whole runs; leave --from and --only out (what is up to date is not "
          "submitted again)");
    std::vector<SweepAxis> axes;
    for (const auto& text : sweeps) axes.push_back(parse_sweep(text));
    SweepSubmission sweep(config, site, places(), strict);
    for (const auto& point : sweep_points(axes))
      sweep.add(point, point_config(file, overrides, config, point));
    if (dry_run)
      sweep.print(Slurm(), sources);
    else
      sweep.submit(Slurm());
  }

  static SubmitPlaces places() { return {fs::current_path(), fs::read_symlink("/proc/self/exe")}; }

  SubmitPlan planned(Config& config, const SiteProfile& site, const JobBook& book,
                     const QueuedStages& queued) const {
    const RunKey key{static_cast<uint64_t>(config.seed), config.precision, strict};
    return plan_submission(config, select(stages_of(config), from, only), key, site, book, queued,
                           places());
  }

  static void tell_others(const SubmitPlan& plan) {
    for (const auto& [stage, why] : plan.others) std::cout << stage << ": " << why << "\n";
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
  app.add_option("--sweep", command->sweeps,
                 "section.key=v1,v2,...: a run for each value, in RUN_DIR/sweep; repeated: for "
                 "each combination. Stages that do not depend on it are made once")
      ->allow_extra_args(false);
  auto* dry = app.add_flag("--dry-run", command->dry_run,
                           "print the scripts and what they will take, and submit nothing");
  app.add_flag("--strict", command->strict, "make stages of another program version again");
  add_estimate_options(app, dry, command->sources);
  app.footer(
      "Submits what is neither up to date nor queued. Scripts, logs and the list of jobs are "
      "in RUN_DIR/slurm; stylescope status, logs and cancel read them there.");
  return {[command] { command->answer(); }, {}};
}

}  // namespace stylescope
