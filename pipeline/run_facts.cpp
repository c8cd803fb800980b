#include "pipeline/run_facts.hpp"

#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "io/utc_time.hpp"
#include "pipeline/log_line.hpp"
#include "pipeline/run_directory.hpp"
#include "pipeline/stage_history.hpp"
#include "pipeline/sweep.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr std::streamoff kTail = 64 * 1024;

// Small files of a folder that may be published (renamed) in the middle of a look: once more, then.
template <class Look>
void look_twice(StageFacts& facts, const Look& look) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      facts.damage.clear();
      return look();
    } catch (const std::exception& error) {
      facts.damage = error.what();
      if (attempt == 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

std::vector<ShareFacts> shares_of(const fs::path& dir, const std::string& stage,
                                  const StageJobs& jobs) {
  int64_t count = 0;
  for (const auto tasks : jobs.array_tasks) count += tasks;
  std::vector<ShareFacts> shares(static_cast<size_t>(count));
  const double submitted = unix_time_of(jobs.submitted);
  for (size_t k = 0; k < shares.size(); ++k) {
    const auto task = static_cast<int64_t>(k);
    shares[k].outcome = read_state<StageOutcome>(outcome_file(dir, session_name(stage, task)));
    // An earlier submission's.
    if (shares[k].outcome && shares[k].outcome->updated + 1 < submitted) shares[k].outcome.reset();
    shares[k].progress =
        read_state<StageProgress>(dir / (stage + ".partial") / progress_file_name(task));
    if (shares[k].progress && shares[k].progress->updated + 1 < submitted)
      shares[k].progress.reset();
  }
  return shares;
}

}  // namespace

RunView::RunView(fs::path run_dir, Slurm slurm) : dir_(std::move(run_dir)), slurm_(slurm) {
  const fs::path submitted = SlurmFiles(dir_).config(), own = dir_ / "config.yaml";
  config_file_ = fs::exists(submitted) ? submitted : own;
  if (!fs::exists(config_file_))
    throw UsageError(
        dir_.string() +
        (fs::is_directory(dir_) ? ": is no run directory (it has no config.yaml)"
                                : ": is not there") +
        "; name the folder that stylescope run or submit writes to, such as runs/demo");
  Config config = load_config(config_file_, {});
  for (const auto& stage : stages_of(config)) stages_.emplace_back(stage.name, stage.inputs);
  limits_ = {config.slurm.restarts_without_progress, config.slurm.restarts};
}

std::vector<std::string> RunView::stages() const {
  std::vector<std::string> names;
  for (const auto& [name, inputs] : stages_) names.push_back(name);
  return names;
}

void RunView::check_stage(const std::string& name) const {
  const auto names = stages();
  if (std::ranges::find(names, name) != names.end()) return;
  std::string all;
  for (const auto& known : names) all += (all.empty() ? "" : ", ") + known;
  throw UsageError(name + ": is no stage of " + dir_.string() + suggestion(name, names) +
                   " (stages: " + all + ")");
}

std::string RunView::start_again() const {
  if (const auto base = base_of(dir_); !base.empty())
    return "the stylescope submit with --sweep that made it, once more";
  if (fs::exists(sweep_folder(dir_))) return "the same stylescope submit with --sweep once more";
  const SlurmFiles files(dir_);
  if (fs::exists(files.book())) return "stylescope submit " + files.config().string();
  return "stylescope run " + config_file_.string();
}

// A run of a sweep has links to the stages that its base run makes: their news is there.
fs::path RunView::home_of(const std::string& stage) const {
  std::error_code ignored;
  const fs::path link = fs::read_symlink(dir_ / stage, ignored);
  if (link.empty() || link.filename() != stage) return dir_;
  return (dir_ / link).parent_path().lexically_normal();
}

StageFacts RunView::facts_of(const std::string& name, const std::vector<std::string>& inputs,
                             const JobBook& book) const {
  const fs::path home = home_of(name);
  const RunDirectory directory(home);
  StageFacts facts;
  facts.name = name;
  facts.inputs = inputs;
  facts.lock = look_at_lock(home / ("." + name + ".lock"));
  facts.outcome = read_state<StageOutcome>(outcome_file(home, name));
  look_twice(facts, [&] {
    facts.partial = directory.has_partial(name);
    facts.resume = directory.resume_record(name);
    facts.record = directory.record(name);
  });
  // A finished stage has its last progress still.
  for (const auto& folder : {directory.partial(name), directory.stage(name)})
    if (!facts.progress) facts.progress = read_state<StageProgress>(folder / progress_file_name());
  facts.sessions = read_sessions(SlurmFiles(home).sessions(name));
  if (const auto found = book.stages.find(name); found != book.stages.end()) {
    facts.jobs = found->second;
    facts.shares = shares_of(home, name, *facts.jobs);
  }
  if (facts.record || facts.partial)
    facts.warning = last_warning(home / "logs" / (name + ".rank-0.log"),
                                 time_at(facts.resume ? facts.resume : facts.record, "started"));
  return facts;
}

// sacct only for jobs whose end is not told by the run directory: it asks a data base.
void RunView::ask_slurm(const JobBook& book, const std::vector<StageFacts>& stages) {
  queue_.clear();
  accounts_.clear();
  unreachable_.clear();
  try {
    queue_ = slurm_.queue(asked_ids_);
  } catch (const Error& error) {
    unreachable_ = error.what();
    return;
  }
  std::set<int64_t> alive;
  for (const auto& job : queue_)
    if (!is_over(job.state)) alive.insert(job.id);
  std::vector<int64_t> gone;
  for (const auto& stage : stages) {
    const auto found = book.stages.find(stage.name);
    if (found == book.stages.end() || is_done(stage)) continue;
    const auto ids = found->second.ids();
    if (std::ranges::none_of(ids, [&](int64_t id) { return alive.contains(id); }))
      gone.insert(gone.end(), ids.begin(), ids.end());
  }
  if (!gone.empty()) accounts_ = slurm_.accounts(gone).value_or(std::vector<FinishedJob>{});
}

RunFacts RunView::facts(double queue_seconds) {
  const JobBook book = read_job_book(SlurmFiles(dir_));
  RunFacts facts;
  for (const auto& [name, inputs] : stages_) facts.stages.push_back(facts_of(name, inputs, book));
  std::vector<int64_t> ids;
  for (const auto& [name, jobs] : book.stages)
    for (const auto id : jobs.ids()) ids.push_back(id);
  if (ids != asked_ids_ || unix_time() - asked_ >= queue_seconds) {
    asked_ids_ = ids;
    ask_slurm(book, facts.stages);
    asked_ = unix_time();
  }
  facts.unreachable = unreachable_;
  facts.queue = queue_;
  facts.accounts = accounts_;
  facts.run_locked = look_at_lock(dir_ / ".lock").held;
  facts.limits = limits_;
  facts.now = unix_time();
  return facts;
}

std::string last_warning(const fs::path& log, double since) {
  std::ifstream in(log, std::ios::binary);
  if (!in) return "";
  in.seekg(0, std::ios::end);
  const std::streamoff size = in.tellg();
  in.seekg(std::max<std::streamoff>(0, size - kTail));
  std::string last;
  for (std::string line; std::getline(in, line);) {
    const auto warning = parse_log_line(line, "warning");
    // The log's time carries milliseconds, `since` whole seconds.
    if (warning && warning->time + 1 >= since) last = warning->text;
  }
  return last;
}

}  // namespace stylescope
