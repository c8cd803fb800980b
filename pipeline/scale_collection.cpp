#include "pipeline/scale_collection.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "slurm/job_book.hpp"
#include "slurm/whole_number.hpp"

#include <set>
#include <sstream>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using detail::concatenate;

constexpr const char* kPrefix = "nodes-";

// 0 for what is no such name.
int64_t node_count_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return 0;
  return whole_number(name.substr(std::string(kPrefix).size())).value_or(0);
}

std::set<int64_t> node_counts(const fs::path& folder, const JobBook& book) {
  std::set<int64_t> counts;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder, failure))
    if (entry.is_directory()) counts.insert(node_count_of(entry.path().filename().string()));
  validate(!failure, folder.string(), ": cannot be read (", failure.message(),
           "); give the folder of bench scale --submit --out");
  for (const auto& [name, jobs] : book.stages) counts.insert(node_count_of(name));
  counts.erase(0);
  return counts;
}

// What the program said last of an error; else what anybody said last.
std::string cause_in(const fs::path& log) {
  std::error_code ignored;
  if (!fs::exists(log, ignored)) return "";
  std::istringstream text(read_text(log));
  std::string last, error;
  for (std::string line; std::getline(text, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
    if (line.starts_with("error: ")) error = line;
  }
  return error.empty() ? last : error;
}

ScaleCollection::Missing missing_of(const fs::path& folder, int64_t nodes, const JobBook& book,
                                    const std::map<int64_t, std::string>& states) {
  const SlurmFiles files(folder);
  const auto name = node_count_name(nodes);
  ScaleCollection::Missing missing{nodes, concatenate("there is no ", name, "/", kScaleRunFile),
                                   ""};
  const auto log = files.output(name);
  std::error_code ignored;
  if (fs::exists(log, ignored)) missing.log = fs::relative(log, folder, ignored).string();
  const auto known = book.stages.find(name);
  if (known == book.stages.end()) return missing;
  const auto id = known->second.job;
  const auto state = states.find(id);
  if (id == 0)
    missing.why = "sbatch refused the job";
  else if (state == states.end())
    missing.why = concatenate("job ", id, " left no result");
  else
    missing.why = concatenate("job ", id, " left no result (", state->second, ")");
  if (const auto line = cause_in(log); !line.empty()) missing.why += ": " + line;
  return missing;
}

}  // namespace

std::string node_count_name(int64_t nodes) { return kPrefix + std::to_string(nodes); }

std::string nodes_text(int64_t nodes) {
  return concatenate(nodes, nodes == 1 ? " node" : " nodes");
}

ScaleCollection collect_scale_runs(const fs::path& folder,
                                   const std::map<int64_t, std::string>& states) {
  const JobBook book = read_job_book(SlurmFiles(folder));
  ScaleCollection collection;
  for (const auto nodes : node_counts(folder, book)) {
    const auto file = folder / node_count_name(nodes) / kScaleRunFile;
    std::error_code ignored;
    if (!fs::exists(file, ignored)) {
      collection.missing.push_back(missing_of(folder, nodes, book, states));
      continue;
    }
    try {
      collection.runs.emplace(nodes, read_scale_run(file));
    } catch (const Error& error) {
      auto missing = missing_of(folder, nodes, book, states);
      missing.why = error.what();
      collection.missing.push_back(missing);
    }
  }
  if (!collection.runs.empty()) return collection;
  std::string why;
  for (const auto& missing : collection.missing)
    why += concatenate("; ", nodes_text(missing.nodes), ": ", missing.why,
                       missing.log.empty() ? "" : " (log: " + missing.log + ")");
  throw Error(concatenate(folder.string(), ": holds no measurement (", kPrefix, "N/", kScaleRunFile,
                          ")", why, "; measure with bench scale --submit --nodes 1,2,4"));
}

}  // namespace stylescope
