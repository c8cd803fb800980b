#pragma once

#include "slurm/cluster.hpp"
#include "slurm/job_book.hpp"
#include "slurm/job_script.hpp"
#include "slurm/site_profile.hpp"

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

// Jobs that do not know one another, and one that comes when all of them have ended.
namespace stylescope {

struct CallJobs {
  std::vector<JobScript> jobs;
  JobScript last;        // waits for the others, however they end
  std::string result{};  // the file that a job leaves in <run_dir>/<stage>; "": none
};

// What became of a submission; names as in JobScript::stage.
struct CallSubmission {
  std::vector<std::pair<std::string, int64_t>> submitted;    // in order, `last` among them
  std::vector<std::pair<std::string, int64_t>> queued;       // since an earlier one: left alone
  std::vector<std::pair<std::string, std::string>> refused;  // and why
  bool stopped = false;                                      // not all was tried
};

// The jobs of the book that Slurm has still, by name.
std::map<std::string, int64_t> queued_calls(const Slurm& slurm, const JobBook& book);

// Writes the scripts, removes old logs and results, and submits the jobs in their order, then
// `last`. A job that sbatch refuses stands in `refused` and in its log, and the others go on;
// without any job there is no `last`. What is in `queued` is not submitted again, and an earlier
// `last` makes way for the new one, which waits for everything in `queued`. After every job the
// book is written and `said` is called; `stop` is asked before each. Throws Error where files
// cannot be written.
CallSubmission submit_calls(const Slurm& slurm, const CallJobs& calls, const SiteProfile& site,
                            const SlurmFiles& files, JobBook& book,
                            const std::map<std::string, int64_t>& queued,
                            const std::function<void(const std::string&, int64_t)>& said,
                            const std::function<bool()>& stop);

// The scripts, each under the command that would submit it.
std::string dry_run_text(const CallJobs& calls, const SiteProfile& site);

// Jobs that wait, and may do so for ever: they ask in vain. The reasons as squeue has them, by id.
std::map<int64_t, std::string> waiting_in_vain(const Slurm& slurm, const std::vector<int64_t>& ids);

}  // namespace stylescope
