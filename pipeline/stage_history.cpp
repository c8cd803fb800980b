#include "pipeline/stage_history.hpp"

#include "io/utc_time.hpp"
#include "pipeline/queue_words.hpp"

#include <algorithm>

namespace stylescope {
namespace {

// Clocks of hosts and files of one second's resolution: what differs by less is the same instant.
constexpr double kInstant = 2;

double share_of_work(int64_t step, int64_t total) {
  return total > 0 ? static_cast<double>(step) / static_cast<double>(total) : 0;
}

void fill_restarts(const StageFacts& stage, StageStatus& row) {
  const auto beyond_first = [&row](int64_t sessions) {
    row.restarts = std::max(row.restarts, sessions - 1);
  };
  beyond_first(static_cast<int64_t>(stage.sessions.size()));
  for (const auto* object : {&stage.resume, &stage.record})
    if (*object && (*object)->contains("sessions") && (*object)->at("sessions").is_number())
      beyond_first((*object)->at("sessions").get<int64_t>());
}

}  // namespace

double time_at(const std::optional<nlohmann::json>& object, const char* key) {
  if (!object || !object->contains(key) || !object->at(key).is_string()) return 0;
  return unix_time_of(object->at(key).get<std::string>());
}

void fill_from_files(const StageFacts& stage, StageStatus& row) {
  row.warning = stage.warning;
  row.can_go_on = stage.partial;
  fill_restarts(stage, row);
  if (stage.progress) {
    row.progress = true;
    row.step = stage.progress->step;
    row.total = stage.progress->total;
    row.percent = 100 * share_of_work(row.step, row.total);
    row.rate = stage.progress->rate;
    row.unit = stage.progress->unit;
    row.seconds_left = stage.progress->seconds_left;
  }
  if (!stage.jobs) return;
  for (const auto tasks : stage.jobs->array_tasks) row.shares += tasks;
  for (const auto& share : stage.shares)
    if (share.outcome && share.outcome->state == "done") ++row.shares_done;
}

void fill_share_progress(const StageFacts& stage, StageStatus& row) {
  double finished = 0;
  row.rate = 0;
  for (const auto& share : stage.shares) {
    const bool done = share.outcome && share.outcome->state == "done";
    if (done) finished += 1;
    if (done || !share.progress) continue;
    row.unit = share.progress->unit;
    if (share.outcome && share.outcome->state == "running") row.rate += share.progress->rate;
    finished += share_of_work(share.progress->step, share.progress->total);
  }
  row.progress = true;
  row.step = row.shares_done;
  row.total = row.shares;
  row.percent = row.shares > 0 ? 100 * finished / static_cast<double>(row.shares) : 0;
  row.seconds_left = -1;
}

void fill_done(const StageFacts& stage, StageStatus& row) {
  row.can_go_on = false;
  row.percent = 100;
  row.step = row.total;
  row.nodes.clear();
  if (stage.record && stage.record->contains("hosts"))
    for (const auto& host : stage.record->at("hosts")) row.nodes.push_back(host);
}

bool is_done(const StageFacts& stage) {
  if (!stage.record) return false;
  const bool said_done = newest_word(stage) == "done" ||
                         (!stage.sessions.empty() && stage.sessions.back().outcome == "done");
  if (said_done) return true;
  const double finished = time_at(stage.record, "finished");
  if (stage.outcome && stage.outcome->updated > finished + kInstant) return false;
  if (!stage.sessions.empty() && unix_time_of(stage.sessions.back().started) > finished + kInstant)
    return false;
  return !stage.jobs || unix_time_of(stage.jobs->submitted) <= finished + kInstant;
}

std::string newest_word(const StageFacts& stage) {
  if (!stage.outcome) return "";
  if (stage.jobs && stage.outcome->updated < unix_time_of(stage.jobs->submitted) - kInstant)
    return "";
  return stage.outcome->state;
}

bool given_up(const StageFacts& stage, const RestartLimits& limits) {
  if (stage.sessions.empty() || stage.sessions.back().ended.empty()) return false;
  return decide_restart(stage.sessions, limits).what == RestartDecision::What::give_up;
}

std::string cause_of(const StageFacts& stage, const RestartLimits& limits) {
  const std::string said = newest_word(stage);
  if ((said == "failed" || said == "broken") && !stage.outcome->cause.empty())
    return stage.outcome->cause;
  if (given_up(stage, limits)) return decide_restart(stage.sessions, limits).reason;
  if (stage.sessions.empty() || stage.sessions.back().ended.empty())
    return said.empty() ? "" : stage.outcome->cause;
  const Session& last = stage.sessions.back();
  return last.cause.empty() ? last.outcome : last.cause;
}

bool is_main(const StageJobs& jobs, int64_t id) {
  return id == jobs.job || std::ranges::find(jobs.follow_ups, id) != jobs.follow_ups.end();
}

JobEnding last_ending(const StageJobs& jobs, const RunFacts& facts) {
  JobEnding last;
  int64_t newest = 0;
  const auto hear = [&](int64_t id, const std::string& state, int code) {
    if (!is_main(jobs, id) || !is_over(state) || id < newest) return;
    // A follow-up that nobody needed any more is cancelled by Slurm itself.
    if (id != jobs.job && state == "CANCELLED" && newest > 0) return;
    newest = id;
    last = {state, ended_words(id, state, state == "FAILED" ? code : -1)};
  };
  for (const auto& job : facts.accounts) hear(job.id, job.state, job.exit_code);
  if (newest == 0)
    for (const auto& job : facts.queue) hear(job.id, job.state, -1);
  return last;
}

}  // namespace stylescope
