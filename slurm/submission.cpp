#include "slurm/submission.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/utc_time.hpp"
#include "slurm/sessions.hpp"

#include <algorithm>
#include <set>

namespace stylescope {
namespace {

using detail::concatenate;
using Words = std::vector<std::string>;

std::string any_of(const StageJobs& jobs) {
  std::string text = concatenate("afterok:", jobs.job);
  for (const auto id : jobs.follow_ups) text += concatenate("?afterok:", id);
  return text;
}

// "0-499%8": `limit` is shared out where there are several arrays.
std::string array_range(int64_t size, int64_t limit, int64_t arrays) {
  std::string range = concatenate("0-", size - 1);
  if (limit > 0) range += concatenate("%", std::max<int64_t>(1, limit / arrays));
  return range;
}

Words with_dependency(Words options, const std::string& dependency) {
  if (!dependency.empty()) options.push_back("--dependency=" + dependency);
  return options;
}

JobScript shares_of(const PlannedStage& stage) {
  JobScript job = stage.script;
  job.shares = stage.array;
  return job;
}

class Submission {
 public:
  Submission(const Slurm& slurm, const SiteProfile& site, const SlurmFiles& files, JobBook& book)
      : slurm_(slurm), site_(site), files_(files), book_(book) {}

  const StageJobs& add(const PlannedStage& stage, bool gated) {
    const std::string name = stage.script.stage;
    StageJobs& jobs = book_.stages[name] = jobs_of(stage.script);
    jobs.after = stage.after;
    write_script(files_, stage.script, site_);
    note_submission(files_.sessions(name));
    const std::string after = dependency(stage.after, book_);
    if (stage.array > 0) add_arrays(stage, after, jobs);
    // Whatever its shares came to: the stage's own job makes what they left.
    const std::string before = jobs.arrays.empty() ? after : all_of("afterany", jobs.arrays);
    jobs.job = submit(with_dependency({}, before), job_name(stage.script));
    write_job_book(files_, book_);
    if (site_.restart == "follow_up") add_follow_ups(stage, jobs);
    if (gated && !jobs.follow_ups.empty()) add_gate(stage, jobs);
    return jobs;
  }

 private:
  int64_t submit(const Words& options, const std::string& script) {
    return slurm_.submit(options, files_.script(script).string());
  }

  void add_arrays(const PlannedStage& stage, const std::string& after, StageJobs& jobs) {
    const JobScript script = shares_of(stage);
    write_script(files_, script, site_);
    const auto sizes = array_sizes(stage.array, slurm_.max_array_size());
    for (int64_t k = 0; k < stage.array; ++k)
      note_submission(files_.sessions(concatenate(stage.script.stage, ".", k)));
    int64_t first = 0;
    for (const auto size : sizes) {
      const auto limit = script.resources.array_limit;
      const auto range = array_range(size, limit, static_cast<int64_t>(sizes.size()));
      Words options{"--array=" + range, concatenate("--export=ALL,STYLESCOPE_FIRST_SHARE=", first)};
      jobs.arrays.push_back(submit(with_dependency(options, after), job_name(script)));
      jobs.array_tasks.push_back(size);
      write_job_book(files_, book_);
      first += size;
    }
  }

  // A follow-up starts when all before it failed; when one of them does not, it can never start,
  // and Slurm removes it.
  void add_follow_ups(const PlannedStage& stage, StageJobs& jobs) {
    for (int64_t i = 0; i < site_.follow_ups; ++i) {
      std::vector<int64_t> before{jobs.job};
      before.insert(before.end(), jobs.follow_ups.begin(), jobs.follow_ups.end());
      std::string all;
      for (const auto id : before) all += concatenate(all.empty() ? "" : ",", "afternotok:", id);
      jobs.follow_ups.push_back(submit({"--dependency=" + all}, job_name(stage.script)));
      write_job_book(files_, book_);
    }
  }

  // Slurm takes either "and" or "or" between dependencies. Whoever waits for several stages that
  // have follow-ups waits for a job that does nothing but say: one of these is done.
  void add_gate(const PlannedStage& stage, StageJobs& jobs) {
    JobScript script = stage.script;
    const auto file = files_.script(script.stage + "-gate");
    publish_text(
        file, concatenate("#!/bin/bash\n# Done when stage ", script.stage, " of run ",
                          script.run_name, " is, by its job or by one that went on.\n",
                          "#SBATCH --job-name=", script.run_name, ".", script.stage, "-gate\n",
                          "#SBATCH --output=", files_.output(script.stage + "-gate").string(),
                          "\n#SBATCH --ntasks=1\n#SBATCH --time=5\n",
                          "#SBATCH --kill-on-invalid-dep=yes\n", gate_options(script), "exit 0\n"));
    jobs.gate = submit({"--dependency=" + any_of(jobs)}, script.stage + "-gate");
    write_job_book(files_, book_);
  }

  static std::string gate_options(const JobScript& script) {
    std::string text;
    const auto& r = script.resources;
    for (const auto& [name, value] : std::initializer_list<std::pair<std::string, std::string>>{
             {"partition", r.partition}, {"account", r.account}, {"qos", r.qos}})
      if (!value.empty()) text += "#SBATCH --" + name + "=" + value + "\n";
    return text;
  }

  const Slurm& slurm_;
  const SiteProfile& site_;
  const SlurmFiles& files_;
  JobBook& book_;
};

// Is the stage one of several that some other waits for?
bool is_joined(const std::string& name, const std::vector<PlannedStage>& stages) {
  return std::ranges::any_of(stages, [&](const auto& stage) {
    return stage.after.size() > 1 && std::ranges::find(stage.after, name) != stage.after.end();
  });
}

}  // namespace

std::vector<std::string> without_implied(
    const std::vector<std::string>& inputs,
    const std::map<std::string, std::vector<std::string>>& all_inputs) {
  std::set<std::string> implied;
  std::vector<std::string> open = inputs;
  while (!open.empty()) {
    const auto stage = open.back();
    open.pop_back();
    const auto found = all_inputs.find(stage);
    if (found == all_inputs.end()) continue;
    for (const auto& input : found->second)
      if (implied.insert(input).second) open.push_back(input);
  }
  std::vector<std::string> direct;
  for (const auto& input : inputs)
    if (!implied.contains(input)) direct.push_back(input);
  return direct;
}

std::vector<int64_t> array_sizes(int64_t tasks, int64_t max_array_size) {
  const int64_t most = std::max<int64_t>(1, max_array_size);
  std::vector<int64_t> sizes;
  for (; tasks > 0; tasks -= sizes.back()) sizes.push_back(std::min(tasks, most));
  return sizes;
}

std::string dependency(const std::vector<std::string>& stages, const JobBook& book) {
  std::vector<int64_t> ids;
  for (const auto& stage : stages) {
    const StageJobs& jobs = book.stages.at(stage);
    if (stages.size() == 1 && !jobs.follow_ups.empty()) return any_of(jobs);
    ids.push_back(jobs.gate > 0 ? jobs.gate : jobs.job);
  }
  return ids.empty() ? "" : all_of("afterok", ids);
}

std::string all_of(const std::string& kind, const std::vector<int64_t>& ids) {
  std::string text = kind;
  for (const auto id : ids) text += concatenate(":", id);
  return text;
}

StageJobs jobs_of(const JobScript& script) {
  StageJobs jobs;
  jobs.stage = script.stage;
  jobs.ranks = script.resources.rank_count();
  jobs.nodes = std::max<int64_t>(1, script.resources.nodes);
  jobs.gpus = script.resources.gpu_count();
  jobs.submitted = utc_time();
  return jobs;
}

void write_script(const SlurmFiles& files, const JobScript& job, const SiteProfile& site) {
  const auto file = files.script(job_name(job));
  std::error_code failure;
  std::filesystem::create_directories(files.folder, failure);
  validate(!failure, files.folder.string(), ": cannot be made (", failure.message(),
           "); choose a run_dir that you may write to");
  publish_text(file, job_script(job, site));
  std::error_code ignored;
  std::filesystem::permissions(file, std::filesystem::perms::owner_exec,
                               std::filesystem::perm_options::add, ignored);
}

void submit_stages(const Slurm& slurm, const std::vector<PlannedStage>& stages,
                   const SiteProfile& site, const SlurmFiles& files, JobBook& book,
                   const std::function<void(const StageJobs&)>& said,
                   const std::set<std::string>& gated) {
  Submission submission(slurm, site, files, book);
  for (const auto& stage : stages) {
    const std::string& name = stage.script.stage;
    said(submission.add(stage, gated.contains(name) || is_joined(name, stages)));
  }
}

std::string dry_run_text(const std::vector<PlannedStage>& stages, const SiteProfile& site,
                         int64_t max_array_size) {
  std::string text;
  const auto add = [&](const JobScript& job, const std::string& how) {
    text +=
        concatenate("#### sbatch", how, " ", SlurmFiles(job.run_dir).script(job_name(job)).string(),
                    "\n\n", job_script(job, site), "\n");
  };
  for (const auto& stage : stages) {
    std::string after;
    for (const auto& name : stage.after) after += ":<" + name + ">";
    if (!after.empty()) after = " --dependency=afterok" + after;
    const auto sizes = array_sizes(stage.array, max_array_size);
    for (const auto size : sizes)
      add(shares_of(stage), concatenate(" --array=",
                                        array_range(size, stage.script.resources.array_limit,
                                                    static_cast<int64_t>(sizes.size())),
                                        after));
    add(stage.script, sizes.empty() ? after : " --dependency=afterany:<its arrays>");
    if (site.restart == "follow_up")
      text += concatenate("#### and ", site.follow_ups,
                          " times the same script with --dependency=afternotok of all before\n\n");
  }
  return text;
}

}  // namespace stylescope
