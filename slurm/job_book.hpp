#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

// Where a run's Slurm files lie, and the record of what was submitted.
namespace stylescope {

// Everything of a run that Slurm is told or tells, below <run_dir>/slurm/.
struct SlurmFiles {
  explicit SlurmFiles(const std::filesystem::path& run_dir) : folder(run_dir / "slurm") {}
  std::filesystem::path folder;

  std::filesystem::path config() const { return folder / "config.yaml"; }  // as submitted
  std::filesystem::path book() const { return folder / "jobs.json"; }
  // The batch script, and what it and its launcher print (appended over all restarts).
  std::filesystem::path script(const std::string& job) const { return folder / (job + ".sbatch"); }
  std::filesystem::path output(const std::string& job) const { return folder / (job + ".log"); }
  // Of a task of an array.
  std::filesystem::path output(const std::string& job, int64_t task) const {
    return folder / (job + "." + std::to_string(task) + ".log");
  }
  // How its sessions began and ended (slurm/sessions.hpp).
  std::filesystem::path sessions(const std::string& job) const {
    return folder / (job + ".sessions.jsonl");
  }
};

// What was submitted for one stage, newest submission only. A stage has one job, and up to
// `follow_ups` jobs that go on where it was cut off; tile may have arrays before that.
struct StageJobs {
  std::string stage;
  std::vector<int64_t> arrays;       // ids of arrays; their tasks are numbered through
  std::vector<int64_t> array_tasks;  // how many tasks each has
  int64_t job = 0;
  std::vector<int64_t> follow_ups;  // in order
  int64_t gate = 0;                 // done when one of these is, where several wait for it
  std::vector<std::string> after;   // the stages whose jobs it waits for
  int64_t ranks = 1, nodes = 1, gpus = 0;
  std::string submitted;  // UTC

  std::vector<int64_t> ids() const;  // all of them
};

struct JobBook {
  std::map<std::string, StageJobs> stages;
};

// Empty where nothing was submitted. Throws Error for a damaged one.
JobBook read_job_book(const SlurmFiles& files);
void write_job_book(const SlurmFiles& files, const JobBook& book);

}  // namespace stylescope
