#pragma once

#include "pipeline/config.hpp"
#include "pipeline/submit_plan.hpp"
#include "slurm/cluster.hpp"
#include "slurm/job_book.hpp"

#include <string>

// What submitting one run takes besides its plan; a sweep submits many.
namespace stylescope {

// The stages whose jobs Slurm still has. Jobs that can never start any more are no reason to wait:
// they are taken away, unless `dry_run`, for which no cluster is needed either.
QueuedStages still_queued(const Slurm& slurm, const JobBook& book, bool dry_run);

// Writes <run_dir>/slurm/config.yaml: the jobs read the configuration as it is now, whatever
// becomes of the file. Throws UsageError where stages are queued with another one.
void publish_config(Config& config, const SlurmFiles& files, const QueuedStages& queued);
// The same for jobs of any kind. `conflict`: what the UsageError says where jobs are queued that
// read another configuration ("": none are queued); `elsewhere`: what to do where the folder cannot
// be made.
void publish_config(Config& config, const SlurmFiles& files, const std::string& conflict,
                    const std::string& elsewhere);

// "gan: job 12, after ingest".
std::string submitted_line(const StageJobs& jobs);

// MaxArraySize, and Slurm's default where there is no cluster.
int64_t dry_array_size(const Slurm& slurm);

}  // namespace stylescope
