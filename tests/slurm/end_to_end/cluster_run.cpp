#include "tests/slurm/end_to_end/cluster_run.hpp"

#include "io/atomic_file.hpp"
#include "io/checkpoint.hpp"
#include "slurm/sessions.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace fs = std::filesystem;

namespace stylescope::slurm_tests {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

bool one_of(const std::string& state, const std::set<std::string>& states) {
  return states.contains(state);
}

std::string told(const std::vector<QueueRow>& rows) {
  std::string text;
  for (const auto& row : rows)
    text += (text.empty() ? "" : ", ") + std::to_string(row.job) + " " + row.state + " (" +
            row.reason + ")";
  return text.empty() ? "no job" : text;
}

bool same(const std::vector<QueueRow>& a, const std::vector<QueueRow>& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return x.job == y.job && x.task == y.task && x.state == y.state && x.restarts == y.restarts;
  });
}

bool any_in(const std::vector<QueueRow>& rows, const std::string& state) {
  return std::ranges::any_of(rows, [&](const auto& row) { return row.state == state; });
}

}  // namespace

std::string Moment::state(const std::string& stage) const {
  for (const auto& row : status)
    if (row.at("stage") == stage) return row.at("state");
  return "";
}

ClusterRun::ClusterRun(const LocalCluster& cluster, RunPlan plan)
    : cluster_(cluster), plan_(std::move(plan)) {
  write_site();
}

void ClusterRun::write_site() const {
  std::ofstream site(folder_ / "site.yaml");
  site << "name: test\nlauncher: " << plan_.launcher
       << "\nmpi: pmix\ncpu_bind: ''\nrestart: " << plan_.restart
       << "\nkill_wait: 2\nenvironment:\n"
       << "  - OMPI_MCA_mpi_yield_when_idle=1\n  - OMPI_ALLOW_RUN_AS_ROOT=1\n"
       << "  - OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\n  - OMP_NUM_THREADS=1\n";
  if (plan_.launcher == "mpirun") site << "launcher_options: [--oversubscribe, --bind-to, none]\n";
  site << "defaults:\n  nodes: " << plan_.nodes << "\n  tasks_per_node: 1\n  cpus_per_task: 1\n"
       << "  time: '" << plan_.time << "'\n";
  std::string off;
  for (const auto& node : plan_.keep_off) off += (off.empty() ? "" : ",") + node;
  if (!off.empty()) site << "  options: ['--exclude=" << off << "']\n";
}

void ClusterRun::copy_stages(const fs::path& from, const std::vector<std::string>& stages) const {
  fs::create_directories(run());
  for (const auto& stage : stages)
    fs::copy(from / stage, run() / stage, fs::copy_options::recursive);
}

CommandOutcome ClusterRun::stylescope(const Words& words) const {
  Words line{STYLESCOPE_BINARY};
  line.insert(line.end(), words.begin(), words.end());
  return cluster_.run(line, {}, folder());
}

std::map<std::string, std::string> ClusterRun::submit(const Words& more) {
  Words words{"submit", plan_.configuration, "--site", "site.yaml"};
  for (const auto& setting : plan_.settings) words.insert(words.end(), {"--set", setting});
  words.insert(words.end(), more.begin(), more.end());
  const auto outcome = stylescope(words);
  if (outcome.code != 0)
    throw std::runtime_error("submit ended with " + std::to_string(outcome.code) + ": " +
                             outcome.err);
  std::map<std::string, std::string> lines;
  std::istringstream text(outcome.out);
  for (std::string line; std::getline(text, line);)
    if (const auto colon = line.find(": "); colon != std::string::npos)
      lines[line.substr(0, colon)] = line.substr(colon + 2);
  return lines;
}

StageJobs ClusterRun::jobs(const std::string& stage) const {
  const auto book = read_job_book(SlurmFiles(run()));
  const auto found = book.stages.find(stage);
  return found == book.stages.end() ? StageJobs{} : found->second;
}

std::vector<QueueRow> ClusterRun::rows(const std::vector<QueueRow>& all,
                                       const std::string& stage) const {
  const auto ids = jobs(stage).ids();
  std::vector<QueueRow> own;
  for (const auto& row : all)
    if (std::ranges::find(ids, row.job) != ids.end()) own.push_back(row);
  return own;
}

QueueRow ClusterRun::row(const std::string& stage) const {
  const auto job = jobs(stage).job;
  for (const auto& row : cluster_.queue())
    if (row.job == job) return row;
  throw std::runtime_error(stage + " has no job");
}

std::vector<QueueRow> ClusterRun::of_this_run(const std::vector<QueueRow>& all) const {
  std::set<int64_t> ids;
  for (const auto& [stage, jobs] : read_job_book(SlurmFiles(run())).stages)
    for (const auto id : jobs.ids()) ids.insert(id);
  std::vector<QueueRow> own;
  for (const auto& row : all)
    if (ids.contains(row.job)) own.push_back(row);
  return own;
}

Moment ClusterRun::look() const {
  Moment moment;
  moment.before = cluster_.queue();
  const auto answer = stylescope({"status", "run", "--json"});
  moment.rows = cluster_.queue();
  moment.code = answer.code;
  moment.status = json::parse(answer.out, nullptr, false);
  if (moment.status.is_discarded())
    throw std::runtime_error("status said: " + answer.out + answer.err);
  return moment;
}

// `status` costs a second's work of a core where many ask: it is asked when squeue says something
// new, and else every few seconds.
bool ClusterRun::is_news(const std::vector<QueueRow>& rows) const {
  return times_asked_ == 0 || !same(of_this_run(rows), of_this_run(last_.rows)) ||
         Clock::now() - asked_ > std::chrono::seconds(4);
}

void ClusterRun::ask() {
  auto moment = look();
  ++times_asked_;
  asked_ = Clock::now();
  compare(moment);
  look_at_logs();
  last_ = std::move(moment);
}

Moment ClusterRun::watch_until(const std::string& what, std::chrono::seconds deadline,
                               const std::function<bool(const Moment&)>& holds) {
  for (const auto end = Clock::now() + deadline;;
       std::this_thread::sleep_for(std::chrono::milliseconds(300))) {
    auto rows = cluster_.queue();
    if (is_news(rows)) ask();
    last_.rows = std::move(rows);
    if (holds(last_)) return last_;
    if (Clock::now() > end)
      throw std::runtime_error("after " + std::to_string(deadline.count()) +
                               " s still not: " + what + "; squeue says " + told(last_.rows) +
                               "; status says " + last_.status.dump(1));
  }
}

Moment ClusterRun::watch_to_the_end(std::chrono::seconds deadline) {
  watch_until("all jobs have ended", deadline, [&](const Moment& moment) {
    return std::ranges::all_of(of_this_run(moment.rows), &QueueRow::ended);
  });
  ask();
  return last_;
}

void ClusterRun::compare(const Moment& moment) {
  bool bad = false;
  for (const auto& row : moment.status) {
    const std::string stage = row.at("stage"), state = row.at("state");
    bad = bad || one_of(state, {"held", "stopped", "failed", "blocked"});
    if (state == "done")
      expect(fs::exists(run() / stage / "stage.json"), stage + " is said to be done, and is not");
    if (!jobs(stage).ids().empty()) compare_stage(moment, stage);
  }
  expect(moment.code == (bad ? 1 : 0), "status exits with " + std::to_string(moment.code) +
                                           " where it says " + moment.status.dump());
  compare_with_before(moment);
}

// Where squeue said the same before and after, status must say the same.
void ClusterRun::compare_stage(const Moment& moment, const std::string& stage) {
  const auto now = rows(moment.rows, stage);
  if (!same(rows(moment.before, stage), now)) return;
  const auto state = moment.state(stage);
  const auto job = jobs(stage);
  std::set<std::string> fits;
  if (any_in(now, "RUNNING"))
    fits = {"running"};
  else if (any_in(now, "COMPLETING"))
    fits = {"ending", "restarting", "done", "failed", "stopped"};
  else if (!any_in(now, "PENDING"))
    fits = {"done", "failed", "stopped", "blocked"};
  else if (const auto main = std::ranges::find(now, job.job, &QueueRow::job);
           main != now.end() && main->state == "PENDING" && main->restarts > 0)
    fits = {"restarting"};
  else if (main != now.end() && main->state == "PENDING")
    fits = {"queued", "blocked"};
  else  // a follow-up goes on, or is not needed
    fits = {"restarting", "done", "failed"};
  expect(fits.contains(state), stage + " is said to be " + state + " while squeue says " +
                                   told(now) + ": " + moment.status.dump());
}

void ClusterRun::compare_with_before(const Moment& moment) {
  for (const auto& row : moment.status) {
    const std::string stage = row.at("stage"), state = row.at("state");
    const auto old = std::ranges::find_if(last_.status, [&](const auto& other) {
      return other.is_object() && other.at("stage") == stage;
    });
    if (old == last_.status.end()) continue;
    expect(old->at("state") != "done" || state == "done", stage + " was done, and is " + state);
    expect(old->at("restarts") <= row.at("restarts") || state == "done",
           stage + ": restarts are counted down: " + old->dump() + " " + row.dump());
    const bool same_session = old->at("state") == "running" && state == "running" &&
                              old->at("restarts") == row.at("restarts");
    if (same_session && old->at("step").is_number() && row.at("step").is_number())
      expect(old->at("step") <= row.at("step"), stage + " goes back: " + old->dump() + row.dump());
  }
}

void ClusterRun::look_at_logs() {
  for (const char* kind : {"slurm", "logs"}) {
    if (!fs::exists(run() / kind)) continue;
    for (const auto& entry : fs::directory_iterator(run() / kind)) {
      if (entry.path().extension() != ".log") continue;
      auto text = read_text(entry.path());
      auto& before = logs_[entry.path()];
      expect(text.starts_with(before), entry.path().string() + " was cut");
      before = std::move(text);
    }
  }
}

int64_t ClusterRun::checkpoint(const std::string& stage) const {
  const auto folder = run() / (stage + ".partial") / "checkpoints";
  const auto steps = CheckpointDirectory(folder, 2).steps();
  return steps.empty() ? -1 : steps.back();
}

std::string ClusterRun::log(const std::string& stage) const {
  const auto file = SlurmFiles(run()).output(stage);
  return fs::exists(file) ? read_text(file) : "";
}

int64_t ClusterRun::sessions(const std::string& stage) const {
  return static_cast<int64_t>(read_sessions(SlurmFiles(run()).sessions(stage)).size());
}

void ClusterRun::expect(bool holds, const std::string& what) {
  // The same again and again says nothing new.
  if (!holds && problems_.size() < 10 && std::ranges::find(problems_, what) == problems_.end())
    problems_.push_back(what);
}

}  // namespace stylescope::slurm_tests
