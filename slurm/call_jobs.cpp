#include "slurm/call_jobs.hpp"

#include "io/base/error.hpp"
#include "slurm/submission.hpp"

#include <algorithm>
#include <fstream>

namespace stylescope {
namespace {

using detail::concatenate;

class Submission {
 public:
  Submission(const Slurm& slurm, const SiteProfile& site, const SlurmFiles& files, JobBook& book,
             const std::map<std::string, int64_t>& queued, const std::string& result,
             const std::function<void(const std::string&, int64_t)>& said)
      : slurm_(slurm),
        site_(site),
        files_(files),
        book_(book),
        queued_(queued),
        result_(result),
        said_(said) {}

  void add(const JobScript& job) {
    if (const auto old = queued_.find(job.stage); old != queued_.end()) {
      outcome_.queued.emplace_back(*old);
      ids_.push_back(old->second);
    } else if (const auto fresh = submit(job, {})) {
      ids_.push_back(fresh);
    }
  }

  void add_last(const JobScript& job) {
    if (ids_.empty()) return;
    if (const auto old = queued_.find(job.stage); old != queued_.end())
      slurm_.cancel({old->second});
    // Also for what an earlier submission left in the queue, whose own `last` this one replaces.
    for (const auto& [name, id] : queued_)
      if (name != job.stage && std::ranges::find(ids_, id) == ids_.end()) ids_.push_back(id);
    submit(job, {"--dependency=" + all_of("afterany", ids_)});
  }

  CallSubmission outcome_;

 private:
  // 0: refused. In the book either way: that it was asked for.
  int64_t submit(const JobScript& job, const std::vector<std::string>& options) {
    write_script(files_, job, site_);
    remove_old_result(job);
    std::error_code ignored;  // the log is that of this job alone
    std::filesystem::remove(files_.output(job.stage), ignored);
    StageJobs jobs = jobs_of(job);
    try {
      jobs.job = slurm_.submit(options, files_.script(job.stage).string());
    } catch (const Error& error) {
      outcome_.refused.emplace_back(job.stage, error.what());
      std::ofstream(files_.output(job.stage), std::ios::app) << error.what() << "\n";
    }
    book_.stages[job.stage] = jobs;
    write_job_book(files_, book_);
    if (jobs.job > 0) {
      outcome_.submitted.emplace_back(job.stage, jobs.job);
      said_(job.stage, jobs.job);
    }
    return jobs.job;
  }

  // Even where sbatch refuses: what an earlier job left would pass for the answer to this one.
  void remove_old_result(const JobScript& job) const {
    if (result_.empty()) return;
    const auto old = job.run_dir / job.stage / result_;
    std::error_code failure;
    std::filesystem::remove(old, failure);
    validate(!failure, old.string(), ": an earlier result, cannot be removed (", failure.message(),
             "); remove it, and submit again");
  }

  const Slurm& slurm_;
  const SiteProfile& site_;
  const SlurmFiles& files_;
  JobBook& book_;
  const std::map<std::string, int64_t>& queued_;
  const std::string& result_;
  const std::function<void(const std::string&, int64_t)>& said_;
  std::vector<int64_t> ids_;  // that `last` waits for
};

}  // namespace

std::map<std::string, int64_t> queued_calls(const Slurm& slurm, const JobBook& book) {
  std::vector<int64_t> ids;
  for (const auto& [name, jobs] : book.stages)
    if (jobs.job > 0) ids.push_back(jobs.job);
  std::map<std::string, int64_t> queued;
  for (const auto& job : slurm.queue(ids))
    for (const auto& [name, jobs] : book.stages)
      if (jobs.job == job.id && !is_over(job.state)) queued[name] = job.id;
  return queued;
}

CallSubmission submit_calls(const Slurm& slurm, const CallJobs& calls, const SiteProfile& site,
                            const SlurmFiles& files, JobBook& book,
                            const std::map<std::string, int64_t>& queued,
                            const std::function<void(const std::string&, int64_t)>& said,
                            const std::function<bool()>& stop) {
  Submission submission(slurm, site, files, book, queued, calls.result, said);
  for (const auto& job : calls.jobs) {
    submission.outcome_.stopped = stop();
    if (submission.outcome_.stopped) return submission.outcome_;
    submission.add(job);
  }
  submission.outcome_.stopped = stop();
  if (!submission.outcome_.stopped) submission.add_last(calls.last);
  return submission.outcome_;
}

std::string dry_run_text(const CallJobs& calls, const SiteProfile& site) {
  std::string text;
  const auto add = [&](const JobScript& job, const std::string& how) {
    text += concatenate("#### sbatch ", how, SlurmFiles(job.run_dir).script(job.stage).string(),
                        "\n\n", job_script(job, site), "\n");
  };
  for (const auto& job : calls.jobs) add(job, "");
  add(calls.last, "--dependency=afterany:<all of these> ");
  return text;
}

std::map<int64_t, std::string> waiting_in_vain(const Slurm& slurm,
                                               const std::vector<int64_t>& ids) {
  std::map<int64_t, std::string> found;
  for (const auto& job : slurm.queue(ids))
    if (job.state == "PENDING" && asks_in_vain(job.reason)) found[job.id] = job.reason;
  return found;
}

}  // namespace stylescope
