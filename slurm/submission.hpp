#pragma once

#include "slurm/cluster.hpp"
#include "slurm/job_book.hpp"
#include "slurm/job_script.hpp"
#include "slurm/site_profile.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

// A run's stages as jobs that wait for one another.
namespace stylescope {

// One stage to submit.
struct PlannedStage {
  JobScript script;
  std::vector<std::string>
      after;          // the stages, submitted here or queued already, that it waits for
  int64_t array = 0;  // how many tasks share the stage out before its own job; 0: none
};

// Of stages that wait for `inputs` each, the inputs that no other input waits for already.
std::vector<std::string> without_implied(
    const std::vector<std::string>& inputs,
    const std::map<std::string, std::vector<std::string>>& all_inputs);

// How a stage's array is cut: MaxArraySize is the number of the first index that is too large.
std::vector<int64_t> array_sizes(int64_t tasks, int64_t max_array_size);

// --dependency= for a job that waits for all of `stages` in the book: "afterok:12:13". Where a
// stage has follow-ups: "afterok:12?afterok:14" (one such stage), else the gates that stand for
// them.
std::string dependency(const std::vector<std::string>& stages, const JobBook& book);

// Writes the scripts of all stages and submits them in this order, each with its array before it
// and its follow-ups behind; after every job the book is written, so that a submission that fails
// in the middle can be repeated. `said` hears of each stage. `gated`: other runs wait for these
// stages too. Throws Error with what sbatch said.
void submit_stages(const Slurm& slurm, const std::vector<PlannedStage>& stages,
                   const SiteProfile& site, const SlurmFiles& files, JobBook& book,
                   const std::function<void(const StageJobs&)>& said,
                   const std::set<std::string>& gated = {});

// "afterok:12:13".
std::string all_of(const std::string& kind, const std::vector<int64_t>& ids);

// The book's entry for a job that is about to be submitted: what it is, and when.
StageJobs jobs_of(const JobScript& script);

// The script of one job, in its place. Throws Error.
void write_script(const SlurmFiles& files, const JobScript& job, const SiteProfile& site);

// What a dry run prints: the scripts, each under the command that would submit it, with the names
// of stages in the place of ids.
std::string dry_run_text(const std::vector<PlannedStage>& stages, const SiteProfile& site,
                         int64_t max_array_size);

}  // namespace stylescope
