#include "pipeline/run_status.hpp"

#include "io/base/error.hpp"
#include "io/utc_time.hpp"
#include "pipeline/queue_words.hpp"
#include "pipeline/stage_history.hpp"
#include "pipeline/stage_needs.hpp"

#include <algorithm>
#include <set>

namespace stylescope {
namespace {

using detail::concatenate;
using State = StageState;

constexpr double kNoNews = 300;  // seconds

bool is_waiting(const QueuedJob& job) { return job.state == "PENDING"; }
bool is_clearing(const QueuedJob& job) {
  return job.state == "COMPLETING" || job.state == "STAGE_OUT";
}
bool is_requeued(const QueuedJob& job) {
  return job.state.starts_with("REQUEUE") || job.state == "SPECIAL_EXIT";
}

std::string and_joined(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return text;
}

class Judge {
 public:
  explicit Judge(const RunFacts& facts) : facts_(facts) {
    for (const auto& stage : facts.stages)
      if (stage.jobs) needs_.remember(stage);
  }

  StageStatus row(const StageFacts& stage) {
    StageStatus row;
    row.stage = stage.name;
    fill_from_files(stage, row);
    decide(stage, row);
    if (row.state == State::done) fill_done(stage, row);
    if (row.state != State::running) row.rate = 0, row.seconds_left = -1;
    needs_.note(stage.name, row.state);
    return row;
  }

 private:
  // ---- the decision ----

  void decide(const StageFacts& stage, StageStatus& row) const {
    if (!stage.damage.empty()) return set(row, State::failed, stage.damage);
    if (!stage.jobs || !facts_.unreachable.empty()) {
      if (stage.lock.held) return at_work_here(stage, row);
      return stage.jobs ? unasked(stage, row) : without_jobs(stage, row);
    }
    std::vector<const QueuedJob*> own, shares;
    for (const auto& job : facts_.queue) {
      if (is_over(job.state)) continue;
      if (std::ranges::find(stage.jobs->arrays, job.id) != stage.jobs->arrays.end())
        shares.push_back(&job);
      else if (is_main(*stage.jobs, job.id))
        own.push_back(&job);
    }
    std::set<int64_t> alive;
    for (const auto* job : own) alive.insert(job->id);
    for (const auto* job : shares) alive.insert(job->id);
    row.jobs.assign(alive.begin(), alive.end());
    if (!shares.empty() && !has_started(own)) return shared_out(stage, shares, row);
    if (stage.lock.held && !has_started(own)) return at_work_here(stage, row);
    if (!own.empty() && in_queue(stage, own, row)) return;
    ended(stage, row);
  }

  static void set(StageStatus& row, State state, std::string reason) {
    row.state = state;
    row.reason = std::move(reason);
  }

  static bool has_started(const std::vector<const QueuedJob*>& own) {
    return std::ranges::any_of(own, [](const auto* job) { return !is_waiting(*job); });
  }

  // A process holds the stage's lock: at work, without a job that Slurm shows at work.
  void at_work_here(const StageFacts& stage, StageStatus& row) const {
    if (!stage.lock.host.empty()) row.nodes = {stage.lock.host};
    set(row, State::running, silence(stage.progress, stage.outcome ? stage.outcome->updated : 0));
  }

  // "no news for 12 min" when neither progress nor the start is recent.
  std::string silence(const std::optional<StageProgress>& progress, double began) const {
    const double last = std::max(progress ? progress->updated : 0, began);
    if (last <= 0 || facts_.now - last <= kNoNews) return "";
    return "no news for " + age_words(facts_.now - last);
  }

  static void add_nodes(const QueuedJob& job, StageStatus& row) {
    if (!job.nodes.empty() && std::ranges::find(row.nodes, job.nodes) == row.nodes.end())
      row.nodes.push_back(job.nodes);
  }

  // ---- a job in the queue ----

  // False where the entries say nothing any more (follow-ups that nobody needs).
  bool in_queue(const StageFacts& stage, std::vector<const QueuedJob*> own,
                StageStatus& row) const {
    // Oldest first: the job, then those that go on.
    std::ranges::sort(own, {}, [](const auto* job) { return job->id; });
    for (const auto* job : own)
      if (!is_waiting(*job)) return at_work(stage, *job, row), true;
    const QueuedJob& first = *own.front();
    row.restarts = std::max(row.restarts, first.restarts);
    if (first.id != stage.jobs->job) {
      // Follow-ups of a job that is over: the next goes on, unless there is nothing to go on with.
      if (is_done(stage) || newest_word(stage) == "failed" || given_up(stage, facts_.limits))
        return false;
      const QueueWords words = pending_words(first, facts_.now);
      if (words.state == State::held) return set(row, State::held, words.text), true;
      if (words.state == State::blocked) return false;
      set(row, State::restarting,
          concatenate("goes on as job ", first.id, after_cause(stage),
                      first.reason == "Dependency" ? "" : "; " + words.text));
      return true;
    }
    waiting(stage, first, row);
    return true;
  }

  void at_work(const StageFacts& stage, const QueuedJob& job, StageStatus& row) const {
    row.restarts = std::max(row.restarts, job.restarts);
    add_nodes(job, row);
    if (job.state == "REQUEUE_HOLD" || job.state == "SPECIAL_EXIT")
      return set(row, State::held, "requeued, and held");
    if (is_requeued(job)) return set(row, State::restarting, "requeued" + after_cause(stage));
    // A job that was requeued is counted and set back to no time used while it is cleared away.
    if (is_clearing(job) && job.restarts > 0 && job.elapsed == 0)
      return set(row, State::restarting, "requeued" + after_cause(stage));
    if (is_clearing(job)) return clearing(stage, row);
    if (job.state == "CONFIGURING") return set(row, State::running, "its nodes are being started");
    if (job.state == "SUSPENDED" || job.state == "STOPPED")
      return set(row, State::running, "suspended by Slurm");
    set(row, State::running,
        silence(stage.progress, facts_.now - static_cast<double>(job.elapsed)));
  }

  void clearing(const StageFacts& stage, StageStatus& row) const {
    const bool over = !stage.sessions.empty() && !stage.sessions.back().ended.empty();
    if (!over && newest_word(stage) != "done")
      return set(row, State::ending, "its job is being ended");
    if (is_done(stage)) return set(row, State::done, "");
    if (given_up(stage, facts_.limits))
      return set(row, State::failed, cause_of(stage, facts_.limits));
    set(row, State::restarting, "its job is cleared away" + after_cause(stage));
  }

  void waiting(const StageFacts& stage, const QueuedJob& job, StageStatus& row) const {
    if (job.reason == "Dependency") {
      const auto names = needs_.awaited(stage, job);
      for (const auto& name : names)
        if (needs_.is_hopeless(name))
          return set(row, State::blocked, "needs " + needs_.reproach(name));
      const bool own_shares = names.size() == 1 && names[0] == stage.name;
      return set(row, State::queued,
                 own_shares      ? "waits for its shares"
                 : names.empty() ? "waits for other jobs"
                                 : "waits for " + and_joined(names));
    }
    const QueueWords words = pending_words(job, facts_.now);
    if (job.reason == "DependencyNeverSatisfied")
      return set(row, State::blocked, needs_.blocked_words(stage, words.text));
    const bool again = job.restarts > 0 || !stage.sessions.empty();
    if (words.state == State::queued && again)
      return set(row, State::restarting, "requeued" + after_cause(stage) + "; " + words.text);
    set(row, words.state, words.text);
  }

  // ---- shares ----

  void shared_out(const StageFacts& stage, const std::vector<const QueuedJob*>& shares,
                  StageStatus& row) const {
    fill_share_progress(stage, row);
    int64_t at_work = 0;
    const QueuedJob* first_waiting = nullptr;
    for (const auto* job : shares) {
      row.restarts = std::max(row.restarts, job->restarts);
      if (is_waiting(*job)) {
        if (!first_waiting) first_waiting = job;
        continue;
      }
      ++at_work;
      add_nodes(*job, row);
    }
    std::string text = concatenate(row.shares_done, " of ", row.shares, " shares done");
    int64_t failed = 0;
    for (const auto& share : stage.shares)
      if (share.outcome && share.outcome->state == "failed") ++failed;
    if (failed > 0) text += concatenate(", ", failed, " failed");
    if (at_work > 0) return set(row, State::running, concatenate(text, ", ", at_work, " at work"));
    waiting(stage, *first_waiting, row);
    if (row.shares_done > 0) row.reason = text + "; " + row.reason;
  }

  // ---- no job any more ----

  std::string after_cause(const StageFacts& stage) const {
    const std::string why = cause_of(stage, facts_.limits);
    return why.empty() ? "" : " (" + why + ")";
  }

  void ended(const StageFacts& stage, StageStatus& row) const {
    const JobEnding last = last_ending(*stage.jobs, facts_);
    if (is_done(stage)) return set(row, State::done, "");
    if (newest_word(stage) == "failed" || given_up(stage, facts_.limits))
      return set(row, State::failed, cause_of(stage, facts_.limits));
    const std::string gone =
        last.text.empty() ? concatenate("job ", newest_id(*stage.jobs),
                                        " is gone without a word (cancelled, killed, or its node "
                                        "was lost)")
                          : last.text;
    if (stage.sessions.empty()) return never_began(stage, last, gone, row);
    const Session& session = stage.sessions.back();
    if (session.ended.empty()) return set(row, State::stopped, gone);
    if (newest_word(stage) == "broken" && last.text.empty())
      return set(row, State::stopped, cause_of(stage, facts_.limits));
    set(row, State::stopped,
        last.text.empty() ? cause_of(stage, facts_.limits) : gone + after_cause(stage));
  }

  static int64_t newest_id(const StageJobs& jobs) {
    return jobs.follow_ups.empty() ? jobs.job : jobs.follow_ups.back();
  }

  void never_began(const StageFacts& stage, const JobEnding& last, const std::string& gone,
                   StageStatus& row) const {
    if (last.state == "FAILED")
      return set(row, State::failed,
                 gone + " before the stage began; slurm/" + stage.name + ".log says why");
    if (const auto input = needs_.bad_input(stage); !input.empty())
      return set(row, State::blocked, "needs " + needs_.reproach(input));
    set(row, State::stopped, last.state == "CANCELLED" ? gone + " before it began" : gone);
  }

  // ---- Slurm cannot be asked ----

  void unasked(const StageFacts& stage, StageStatus& row) const {
    if (is_done(stage)) return set(row, State::done, "");
    if (newest_word(stage) == "failed" || given_up(stage, facts_.limits))
      return set(row, State::failed, cause_of(stage, facts_.limits));
    if (const auto input = needs_.hopeless_input(stage); !input.empty())
      return set(row, State::blocked, "needs " + needs_.reproach(input));
    const bool open = !stage.sessions.empty() && stage.sessions.back().ended.empty();
    if (!open)
      return set(row, State::unknown,
                 stage.sessions.empty() ? concatenate("was submitted as job ", stage.jobs->job)
                                        : "its last session ended" + after_cause(stage));
    const Session& session = stage.sessions.back();
    if (!session.nodes.empty()) row.nodes = {session.nodes};
    const double last =
        std::max(stage.progress ? stage.progress->updated : 0, unix_time_of(session.started));
    if (facts_.now - last <= kNoNews) return set(row, State::running, "");
    set(row, State::unknown, "no news for " + age_words(facts_.now - last));
  }

  // ---- no Slurm ----

  void without_jobs(const StageFacts& stage, StageStatus& row) const {
    const double last = std::max(stage.progress ? stage.progress->updated : 0,
                                 stage.outcome ? stage.outcome->updated : 0);
    const std::string said = stage.outcome ? stage.outcome->state : "";
    if (said == "running" && !stage.lock.certain && facts_.now - last <= kNoNews) {
      row.nodes = {stage.lock.host};
      return set(row, State::running, "");
    }
    if (is_done(stage)) return set(row, State::done, "");
    if (said == "failed" || said == "broken") return set(row, State::failed, stage.outcome->cause);
    if (said == "interrupted") return set(row, State::stopped, stage.outcome->cause);
    if (said == "running" || stage.partial) return set(row, State::stopped, lost(stage, last));
    not_begun(stage, row);
  }

  std::string lost(const StageFacts& stage, double last) const {
    if (!stage.lock.certain)
      return concatenate("no news from ", stage.lock.host,
                         last > 0 ? " for " + age_words(facts_.now - last) : "");
    if (stage.lock.pid > 0)
      return concatenate("process ", stage.lock.pid, " on ", stage.lock.host,
                         " is gone without a word");
    return "nobody is at work";
  }

  void not_begun(const StageFacts& stage, StageStatus& row) const {
    if (const auto input = needs_.hopeless_input(stage); !input.empty())
      return set(row, State::blocked, "needs " + needs_.reproach(input));
    const auto missing = needs_.not_done(stage.inputs);
    if (missing.empty()) return set(row, State::not_started, "");
    // The last one comes last: the others come before it.
    set(row, State::waits, "waits for " + missing.back());
  }

  const RunFacts& facts_;
  StageNeeds needs_;
};

}  // namespace

const char* name_of(StageState state) {
  static constexpr const char* kNames[] = {"done",    "running", "ending",  "restarting",
                                           "queued",  "held",    "waits",   "not started",
                                           "stopped", "failed",  "blocked", "unknown"};
  return kNames[static_cast<int>(state)];
}

bool under_way(StageState state) {
  return state == State::running || state == State::ending || state == State::restarting ||
         state == State::queued || state == State::unknown;
}

bool needs_somebody(StageState state) {
  return state == State::held || state == State::stopped || state == State::failed ||
         state == State::blocked;
}

std::vector<StageStatus> run_status(const RunFacts& facts) {
  Judge judge(facts);
  std::vector<StageStatus> rows;
  for (const auto& stage : facts.stages) rows.push_back(judge.row(stage));
  return rows;
}

bool run_under_way(const RunFacts& facts, const std::vector<StageStatus>& rows) {
  return facts.run_locked ||
         std::ranges::any_of(rows, [](const auto& row) { return under_way(row.state); });
}

}  // namespace stylescope
