#include "pipeline/scale_jobs.hpp"

#include "distributed/stop_signal.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/utc_time.hpp"
#include "pipeline/config.hpp"
#include "pipeline/number_list.hpp"
#include "pipeline/provenance.hpp"
#include "pipeline/scale_collection.hpp"
#include "pipeline/site_loader.hpp"
#include "pipeline/submit_run.hpp"
#include "slurm/call_jobs.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using detail::concatenate;

constexpr const char* kCollate = "collate";

// The folder's name is part of the jobs' names.
fs::path whole(const fs::path& folder) {
  auto path = fs::absolute(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

// Some minutes to start, and what the measurements take.
std::string usual_time(double seconds) {
  return std::to_string(20 + static_cast<int64_t>(std::ceil(seconds / 2)));
}

// As many ranks on each node, however many nodes there are.
void spread_tasks(Resources& asked) {
  if (asked.tasks < 2 || asked.tasks_per_node > 0) return;
  if (asked.nodes < 1 || asked.tasks % asked.nodes != 0)
    throw UsageError(
        concatenate("bench scale --submit: how many ranks a node gets is not said (stage gan, or "
                    "the site, asks for ",
                    asked.tasks, " tasks",
                    asked.nodes < 1 ? std::string() : concatenate(" on ", asked.nodes, " nodes"),
                    "); give --tasks-per-node"));
  asked.tasks_per_node = asked.tasks / asked.nodes;
}

class Planner {
 public:
  Planner(const ScaleJobs& jobs, const std::optional<Config>& config, const SiteProfile& site)
      : jobs_(jobs), folder_(whole(jobs.folder)) {
    behind_ = config ? config->slurm.of("gan", site.defaults) : site.defaults;
    if (jobs.own.tasks_per_node == 0) spread_tasks(behind_);
  }

  CallJobs plan() const {
    CallJobs calls;
    for (const auto nodes : parse_node_counts(jobs_.nodes)) calls.jobs.push_back(measuring(nodes));
    calls.last = collating(calls.jobs.front().resources);
    calls.result = kScaleRunFile;
    return calls;
  }

 private:
  JobScript call(const std::string& name) const {
    JobScript script;
    script.run_name = folder_.filename().string();
    script.stage = name;
    script.run_dir = folder_;
    script.work_dir = fs::current_path();
    script.program = fs::read_symlink("/proc/self/exe");
    script.words = {"bench", "scale"};
    return script;
  }

  JobScript measuring(int64_t nodes) const {
    auto script = call(node_count_name(nodes));
    auto own = jobs_.own;
    own.nodes = nodes;
    if (own.time.empty()) own.time = usual_time(jobs_.seconds);
    script.resources = over(own, behind_);
    script.resources.check("--nodes " + std::to_string(nodes));
    auto& words = script.words;
    for (const auto* some : {&jobs_.words, &jobs_.prediction})
      words.insert(words.end(), some->begin(), some->end());
    if (!jobs_.config.empty())
      words.insert(words.end(), {"--config", SlurmFiles(folder_).config().string()});
    words.insert(words.end(), {"--ranks", std::to_string(script.resources.rank_count()), "--out",
                               (folder_ / script.stage).string()});
    return script;
  }

  // One process for a moment, where the others run.
  JobScript collating(const Resources& others) const {
    auto script = call(kCollate);
    script.by_all = false;
    script.resources = brief_task(others);
    script.words.insert(script.words.end(), {"--collate", folder_.string()});
    script.words.insert(script.words.end(), jobs_.prediction.begin(), jobs_.prediction.end());
    return script;
  }

  const ScaleJobs& jobs_;
  const fs::path folder_;
  Resources behind_;
};

std::string ids_of(const CallSubmission& done) {
  std::string ids;
  for (const auto& [name, id] : done.submitted) ids += concatenate(ids.empty() ? "" : " ", id);
  return ids;
}

void tell_limits(const Slurm& slurm, const CallSubmission& done) {
  std::vector<int64_t> ids;
  for (const auto* some : {&done.submitted, &done.queued})
    for (const auto& [name, id] : *some) ids.push_back(id);
  for (const auto& [id, reason] : waiting_in_vain(slurm, ids))
    std::cerr << "job " << id << " waits, and Slurm says " << reason
              << ": it may wait for ever, and the report with it; scancel " << id
              << " lets the report be made without it\n";
}

void tell_end(const CallSubmission& done, const fs::path& folder) {
  if (done.stopped)
    throw Interrupted(
        concatenate("stopped before everything was submitted (jobs submitted: ",
                    done.submitted.empty() ? "none" : ids_of(done), ")",
                    done.submitted.empty() ? "" : "; scancel " + ids_of(done) + " takes them away",
                    "; the same command again submits the rest"));
  for (const auto& [name, why] : done.refused) std::cerr << name << ": " << why << "\n";
  const bool none = done.submitted.empty() && done.queued.empty();
  const bool by_hand = !none && !done.refused.empty() && done.refused.back().first == kCollate;
  const auto by = by_hand ? "when stylescope bench scale --collate " + folder.string() + " was run"
                          : "when all jobs have ended";
  if (!none)
    std::cout << "the report: " << (folder / kScalePageFile).string() << ", " << by
              << "; what the jobs say is in " << SlurmFiles(folder).folder.string() << "\n";
  validate(done.refused.empty(), folder.string(), ": sbatch refused ", done.refused.size(),
           done.refused.size() == 1 ? " job" : " jobs",
           none ? " (why: above), and nothing was submitted; change what is asked for"
                : " (why: above); the others go on, and the report names what is missing");
}

// What Slurm says of the jobs; nothing where it cannot be asked.
std::map<int64_t, std::string> states_of(const fs::path& folder) {
  std::map<int64_t, std::string> states;
  try {
    std::vector<int64_t> ids;
    for (const auto& [name, jobs] : read_job_book(SlurmFiles(folder)).stages)
      if (jobs.job > 0) ids.push_back(jobs.job);
    const Slurm slurm;
    if (ids.empty() || !slurm.unreachable().empty()) return states;
    for (const auto& job : slurm.accounts(ids).value_or(std::vector<FinishedJob>{}))
      states[job.id] = job.state;
    for (const auto& job : slurm.queue(ids)) states[job.id] = job.state;
  } catch (const Error&) {
    return states;
  }
  return states;
}

nlohmann::ordered_json document_of(const ScaleCollection& collection, const ScaleSummary& summary) {
  auto nodes = nlohmann::ordered_json::array(), missing = nlohmann::ordered_json::array();
  auto tables = nlohmann::ordered_json::object();
  for (const auto& [count, run] : collection.runs) nodes.push_back(count);
  for (const auto& one : collection.missing)
    missing.push_back({{"nodes", one.nodes}, {"why", one.why}, {"log", one.log}});
  for (const auto& table : tables_of(summary)) tables[table.key] = to_json(table);
  return {{"benchmark", "scale"}, {"version", program_version()},
          {"time", utc_time()},   {"nodes", nodes},
          {"missing", missing},   {"settings", collection.runs.begin()->second.settings},
          {"tables", tables},     {"notes", notes_of(collection, summary)}};
}

std::string text_of(const ScaleCollection& collection, const ScaleSummary& summary) {
  std::string text = "stylescope bench scale: " + summary.subtitle + "\n\n";
  for (const auto& table : tables_of(summary)) text += to_text(table) + "\n";
  for (const auto& note : notes_of(collection, summary)) text += note + "\n";
  return text;
}

}  // namespace

std::vector<int64_t> parse_node_counts(const std::string& text) {
  auto counts = parse_numbers("--nodes", text);
  std::sort(counts.begin(), counts.end());
  if (counts.front() < 1)
    throw UsageError("--nodes " + text + ": a job has at least 1 node; leave the 0 out");
  const auto twice = std::adjacent_find(counts.begin(), counts.end());
  if (twice != counts.end())
    throw UsageError(concatenate("--nodes ", text, ": ", *twice,
                                 " is there twice; name each number of nodes once"));
  return counts;
}

void submit_scale(const ScaleJobs& jobs) {
  std::optional<Config> config;
  if (!jobs.config.empty()) config = load_config(jobs.config, {});
  const auto named = !jobs.site.empty() ? jobs.site : config ? config->slurm.site : "generic";
  const SiteProfile site = load_site(named);
  const auto folder = whole(jobs.folder);
  const auto calls = Planner(jobs, config, site).plan();
  if (jobs.dry_run) {
    std::cout << dry_run_text(calls, site);
    return;
  }
  const Slurm slurm;
  if (const auto why = slurm.unreachable(); !why.empty()) throw Error(why);
  const SlurmFiles files(folder);
  JobBook book = read_job_book(files);
  const auto queued = queued_calls(slurm, book);
  if (config)
    publish_config(*config, files,
                   queued.empty() ? ""
                                  : files.config().string() +
                                        ": jobs are queued that read this, another configuration; "
                                        "wait for them, scancel them, or give another --out",
                   "give another --out");
  StopSignal stop;
  const auto done = submit_calls(
      slurm, calls, site, files, book, queued,
      [](const std::string& name, int64_t id) { std::cout << name << ": job " << id << std::endl; },
      [&] { return stop.requested(); });
  for (const auto& [name, id] : done.queued)
    std::cout << name << ": already queued as job " << id << "\n";
  tell_limits(slurm, done);
  tell_end(done, folder);
}

void collate_scale(const fs::path& folder, const AskedNetwork& asked, bool json) {
  const auto collection = collect_scale_runs(folder, states_of(folder));
  const auto summary = summarise(collection, asked);
  const auto document = document_of(collection, summary).dump(2) + "\n";
  const auto text = text_of(collection, summary);
  publish_text(folder / kScalePageFile, scale_collection_page(collection, summary));
  publish_text(folder / kScaleRunFile, document);
  publish_text(folder / "scale.txt", text);
  std::cout << (json ? document : text + "page: " + (folder / kScalePageFile).string() + "\n")
            << std::flush;
}

}  // namespace stylescope
