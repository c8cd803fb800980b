#include "pipeline/sweep_submission.hpp"

#include "io/base/error.hpp"
#include "pipeline/submit_run.hpp"

#include <algorithm>
#include <iostream>
#include <utility>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

fs::path absolute_dir(const std::string& run_dir) {
  return fs::absolute(run_dir).lexically_normal();
}

// Queued before, or to be submitted now.
std::set<std::string> pending_of(const QueuedStages& queued, const SubmitPlan& plan) {
  std::set<std::string> pending = queued.names;
  for (const auto& stage : plan.stages) pending.insert(stage.script.stage);
  return pending;
}

}  // namespace

SweepSubmission::SweepSubmission(Config& base, const SiteProfile& site, SubmitPlaces places,
                                 bool strict)
    : base_config_(base),
      site_(site),
      point_site_(site),
      places_(std::move(places)),
      strict_(strict) {
  point_site_.mounts.push_back(absolute_dir(base.run_dir).string());
  for (const auto& stage : stages_of(base)) all_.insert(stage.name);
}

void SweepSubmission::add(const SweepPoint& point, Config config) {
  points_.push_back(point);
  configs_.push_back(std::move(config));
}

SubmitPlan SweepSubmission::plan_of(Run& run, const std::set<std::string>& stages,
                                    const QueuedStages& queued) {
  std::vector<Stage> selected;
  for (const auto& stage : stages_of(*run.config))
    if (stages.contains(stage.name)) selected.push_back(stage);
  const RunKey key{static_cast<uint64_t>(run.config->seed), run.config->precision, strict_};
  return plan_submission(*run.config, selected, key, site_, run.book, queued, places_);
}

SweepSubmission::Run SweepSubmission::plan_base(const Slurm& slurm, bool dry_run) {
  const SlurmFiles files(absolute_dir(base_config_.run_dir));
  Run run{{}, &base_config_, files, read_job_book(files), {}, {}, ""};
  run.queued = still_queued(slurm, run.book, dry_run);
  run.plan = plan_of(run, shared_, run.queued);
  return run;
}

SweepSubmission::Run SweepSubmission::plan_point(const Slurm& slurm, bool dry_run, size_t index) {
  Config& config = configs_[index];
  const fs::path dir = absolute_dir(config.run_dir);
  const SlurmFiles files(dir);
  Run run{points_[index], &config, files, read_job_book(files), {}, {}, points_[index].slug + " "};
  for (const auto& stage : shared_) run.book.stages.erase(stage);
  run.queued = still_queued(slurm, run.book, dry_run);

  const Run& base = *base_;
  const auto in_base = pending_of(base.queued, base.plan);
  std::set<std::string> own;
  QueuedStages known = run.queued;
  for (const auto& stage : all_) {
    if (!shared_.contains(stage))
      own.insert(stage);
    else if (in_base.contains(stage) || !is_shared(dir / stage))
      known.names.insert(stage);  // without its link, the plan cannot see that it is there
  }
  run.plan = plan_of(run, own, known);
  for (auto& stage : run.plan.stages)
    std::erase_if(stage.after, [&](const std::string& name) {
      return shared_.contains(name) && !in_base.contains(name);
    });
  return run;
}

void SweepSubmission::plan(const Slurm& slurm, bool dry_run) {
  check_distinct(points_, configs_);
  shared_ = shared_stages(base_config_, configs_);
  if (shared_.size() == all_.size())
    throw UsageError(
        "--sweep: all runs would come out as the base run does (no stage has another "
        "configuration); give values that differ from the file's");
  base_ = plan_base(slurm, dry_run);
  note(*base_);
  for (size_t i = 0; i < configs_.size(); ++i) {
    runs_.push_back(plan_point(slurm, dry_run, i));
    note(runs_.back());
  }
}

void SweepSubmission::note(const Run& run) {
  for (const auto& note : run.plan.notes) std::cerr << run.label << note << "\n";
}

void SweepSubmission::tell(const Run& run) {
  for (const auto& [stage, why] : run.plan.others)
    std::cout << run.label << stage << ": " << why << "\n";
}

void SweepSubmission::print(const Slurm& slurm, const EstimateSources& sources) {
  plan(slurm, true);
  const auto size = dry_array_size(slurm);
  std::cout << dry_run_text(base_->plan.stages, site_, size);
  tell(*base_);
  std::cout << submission_estimate(base_config_, base_->plan, sources);
  for (const auto& run : runs_) {
    std::cout << "######## run " << run.point.slug << ": " << run.config->run_dir << "\n\n"
              << dry_run_text(run.plan.stages, point_site_, size);
    tell(run);
    std::cout << submission_estimate(*run.config, run.plan, sources);
  }
  std::cout << "#### sbatch --dependency=afterany:<the last jobs of all runs> "
            << base_->files.script(kSweepJob).string() << "\n\n"
            << job_script(last_script(), site_);
}

void SweepSubmission::submit(const Slurm& slurm) {
  plan(slurm, false);
  Run& base = *base_;
  const bool any = std::ranges::any_of(
      runs_, [](const Run& run) { return !run.plan.stages.empty() || !run.queued.names.empty(); });
  if (any || !base.plan.stages.empty())
    if (const auto why = slurm.unreachable(); !why.empty()) throw Error(why);
  // All of them first: one that is queued with another configuration stops the sweep before it
  // begins.
  publish_config(base_config_, base.files, base.queued);
  std::vector<SweepRun> recorded;
  for (auto& run : runs_) {
    publish_config(*run.config, run.files, run.queued);
    link_shared(absolute_dir(run.config->run_dir), shared_, {all_.begin(), all_.end()});
    recorded.push_back({run.point, shared_});
  }
  record_sweep(base_config_.run_dir, recorded);

  tell(base);
  submit_stages(
      slurm, base.plan.stages, site_, base.files, base.book,
      [](const StageJobs& jobs) { std::cout << submitted_line(jobs) << std::endl; }, shared_);
  for (auto& run : runs_) submit_point(slurm, run);
  submit_last(slurm);
  std::cout << "the results: stylescope sweep " << base_config_.run_dir << "\n";
  const auto busy = std::ranges::find_if(
      runs_, [](const Run& run) { return !pending_of(run.queued, run.plan).empty(); });
  if (busy != runs_.end())
    std::cout << "watch a run: stylescope status " << busy->config->run_dir << " --watch\n";
}

void SweepSubmission::submit_point(const Slurm& slurm, Run& run) {
  tell(run);
  // Status tells what a point waits for, and dependencies are read from the book.
  const JobBook& base = base_->book;
  for (const auto& stage : shared_)
    if (const auto found = base.stages.find(stage); found != base.stages.end())
      run.book.stages[stage] = found->second;
  write_job_book(run.files, run.book);
  submit_stages(
      slurm, run.plan.stages, point_site_, run.files, run.book,
      [&](const StageJobs& jobs) { std::cout << run.label << submitted_line(jobs) << std::endl; });
}

// Of each point, the jobs that no other of its jobs waits for; of the points of earlier sweeps, the
// jobs that Slurm has still.
std::vector<int64_t> SweepSubmission::last_jobs(const Slurm& slurm) const {
  std::vector<int64_t> ids;
  for (const auto& earlier : read_sweep(base_config_.run_dir)) {
    const auto same = [&](const Run& run) { return run.point.slug == earlier.point.slug; };
    if (std::ranges::any_of(runs_, same)) continue;
    const auto folder = sweep_folder(base_config_.run_dir) / earlier.point.slug;
    const JobBook book = read_job_book(SlurmFiles(folder));
    for (const auto& stage : still_queued(slurm, book, false).names)
      for (const auto id : book.stages.at(stage).ids()) ids.push_back(id);
  }
  for (const auto& run : runs_) {
    const auto pending = pending_of(run.queued, run.plan);
    std::set<std::string> awaited;
    for (const auto& stage : pending)
      for (const auto& before : run.book.stages.at(stage).after) awaited.insert(before);
    for (const auto& stage : pending) {
      if (awaited.contains(stage)) continue;
      const StageJobs& jobs = run.book.stages.at(stage);
      ids.push_back(jobs.job);
      ids.insert(ids.end(), jobs.follow_ups.begin(), jobs.follow_ups.end());
    }
  }
  return ids;
}

JobScript SweepSubmission::last_script() const {
  JobScript script;
  script.run_name = base_config_.name;
  script.stage = kSweepJob;
  script.run_dir = absolute_dir(base_config_.run_dir);
  script.work_dir = places_.work_dir;
  script.program = places_.program;
  script.resources = brief_task(base_config_.slurm.of("report", site_.defaults));
  script.words = {"sweep", script.run_dir.string()};
  script.by_all = false;
  return script;
}

void SweepSubmission::submit_last(const Slurm& slurm) {
  Run& base = *base_;
  const auto ids = last_jobs(slurm);
  if (ids.empty()) return;
  const bool news = std::ranges::any_of(runs_, [](const Run& r) { return !r.plan.stages.empty(); });
  const bool queued = base.queued.names.contains(kSweepJob);
  if (queued && !news) {
    std::cout << kSweepJob << ": already queued as job " << base.book.stages.at(kSweepJob).job
              << "\n";
    return;
  }
  const JobScript script = last_script();
  write_script(base.files, script, site_);
  StageJobs jobs = jobs_of(script);
  jobs.job = slurm.submit({"--dependency=" + all_of("afterany", ids)},
                          base.files.script(kSweepJob).string());
  // The one from before would not wait for the new jobs.
  if (queued) slurm.cancel(base.book.stages.at(kSweepJob).ids());
  base.book.stages[kSweepJob] = jobs;
  write_job_book(base.files, base.book);
  std::cout << kSweepJob << ": job " << jobs.job << ", after all runs" << std::endl;
}

}  // namespace stylescope
