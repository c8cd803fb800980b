#include "slurm/job_book.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;

json to_json(const StageJobs& jobs) {
  return {{"arrays", jobs.arrays}, {"array_tasks", jobs.array_tasks},
          {"job", jobs.job},       {"follow_ups", jobs.follow_ups},
          {"gate", jobs.gate},     {"after", jobs.after},
          {"ranks", jobs.ranks},   {"nodes", jobs.nodes},
          {"gpus", jobs.gpus},     {"submitted", jobs.submitted}};
}

StageJobs from_json(const std::string& stage, const json& entry) {
  StageJobs jobs;
  jobs.stage = stage;
  entry.at("arrays").get_to(jobs.arrays);
  entry.at("array_tasks").get_to(jobs.array_tasks);
  entry.at("job").get_to(jobs.job);
  entry.at("follow_ups").get_to(jobs.follow_ups);
  entry.at("gate").get_to(jobs.gate);
  entry.at("after").get_to(jobs.after);
  entry.at("ranks").get_to(jobs.ranks);
  entry.at("nodes").get_to(jobs.nodes);
  entry.at("gpus").get_to(jobs.gpus);
  entry.at("submitted").get_to(jobs.submitted);
  return jobs;
}

}  // namespace

std::vector<int64_t> StageJobs::ids() const {
  std::vector<int64_t> all = arrays;
  if (job > 0) all.push_back(job);
  all.insert(all.end(), follow_ups.begin(), follow_ups.end());
  if (gate > 0) all.push_back(gate);
  return all;
}

JobBook read_job_book(const SlurmFiles& files) {
  JobBook book;
  if (!fs::exists(files.book())) return book;
  try {
    const json content = json::parse(read_text(files.book()));
    for (const auto& [stage, entry] : content.at("stages").items()) {
      book.stages[stage] = from_json(stage, entry);
      const auto& jobs = book.stages[stage];
      validate(jobs.arrays.size() == jobs.array_tasks.size(), files.book().string(), ": stage '",
               stage, "' has ", jobs.arrays.size(), " arrays and ", jobs.array_tasks.size(),
               " sizes; see squeue --me for the run's jobs, and move the file away");
    }
  } catch (const json::exception& error) {
    throw Error(files.book().string() + ": is damaged (" + error.what() +
                "); see squeue --me for the run's jobs, and move the file away to submit again");
  }
  return book;
}

void write_job_book(const SlurmFiles& files, const JobBook& book) {
  std::error_code failure;
  fs::create_directories(files.folder, failure);
  validate(!failure, files.folder.string(), ": cannot be made (", failure.message(),
           "); choose a run_dir that you may write to");
  json content = {{"stages", json::object()}};
  for (const auto& [stage, jobs] : book.stages) content["stages"][stage] = to_json(jobs);
  publish_text(files.book(), content.dump(2) + "\n");
}

}  // namespace stylescope
