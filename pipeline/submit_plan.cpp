#include "pipeline/submit_plan.hpp"

#include "io/base/error.hpp"
#include "io/stage_state.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr double kUnmeasured = 120;
// Twice what was seen, and what srun and the script need around it.
constexpr double kSafety = 2, kAround = 20;

std::optional<double> measured_stop(const RunDirectory& directory, const std::string& stage) {
  if (const auto times =
          read_state<CheckpointTimes>(directory.partial(stage) / kCheckpointTimesFile))
    return times->step_seconds + times->write_seconds;
  std::error_code ignored;
  if (!fs::exists(directory.stage(stage), ignored)) return std::nullopt;
  const auto record = directory.record(stage);
  if (!record || !record->contains("metrics")) return std::nullopt;
  const auto& metrics = record->at("metrics");
  if (!metrics.contains("checkpoint_write_seconds") || !metrics.contains("longest_step_seconds"))
    return std::nullopt;
  return metrics.at("checkpoint_write_seconds").get<double>() +
         metrics.at("longest_step_seconds").get<double>();
}

class Planner {
 public:
  Planner(Config& config, const RunKey& key, const SiteProfile& site, const JobBook& book,
          const QueuedStages& queued, const SubmitPlaces& places)
      : config_(config),
        key_(key),
        site_(site),
        book_(book),
        places_(places),
        directory_(config.run_dir),
        pending_(queued.names),
        queued_(queued.names) {
    for (const auto& stage : stages_of(config)) inputs_[stage.name] = stage.inputs;
  }

  SubmitPlan plan(const std::vector<Stage>& selected) {
    for (const auto& stage : selected) add(stage);
    return std::move(plan_);
  }

 private:
  void add(const Stage& stage) {
    if (queued_.contains(stage.name)) {
      plan_.others.emplace_back(stage.name, detail::concatenate("already queued as job ",
                                                                book_.stages.at(stage.name).job));
      return;
    }
    const Decision decision = decide(stage, key_, directory_, pending_);
    for (const auto& note : decision.notes) plan_.notes.push_back(stage.name + ": " + note);
    if (decision.action == Action::up_to_date) {
      plan_.others.emplace_back(stage.name, "up to date");
      return;
    }
    if (decision.action == Action::resume) plan_.resumed.insert(stage.name);
    pending_.insert(stage.name);
    plan_.stages.push_back(planned(stage));
  }

  PlannedStage planned(const Stage& stage) const {
    PlannedStage planned;
    auto& script = planned.script;
    script.run_name = config_.name;
    script.stage = stage.name;
    script.run_dir = fs::absolute(config_.run_dir).lexically_normal();
    script.work_dir = places_.work_dir;
    script.program = places_.program;
    script.resources = config_.slurm.of(stage.name, site_.defaults);
    script.resources.check("slurm, stage " + stage.name);
    script.signal_seconds =
        signal_seconds(config_, config_.run_dir, stage.name,
                       seconds_of(script.resources.time, "slurm: time of " + stage.name));
    planned.array = shares_of(stage, script.resources);
    std::vector<std::string> waits;
    for (const auto& input : stage.inputs)
      if (pending_.contains(input)) waits.push_back(input);
    planned.after = without_implied(waits, inputs_);
    return planned;
  }

  // Shares without a piece of work would be jobs for nothing.
  int64_t shares_of(const Stage& stage, const Resources& resources) const {
    const auto own = config_.slurm.stages.find(stage.name);
    if (!stage.pieces && own != config_.slurm.stages.end() && own->second.array > 0)
      throw UsageError("slurm.stages." + stage.name +
                       ".array: this stage cannot be shared out to an array of jobs (tile can); "
                       "give it nodes and tasks instead");
    if (!stage.pieces || resources.array == 0) return 0;
    return std::min(resources.array, stage.pieces());
  }

  Config& config_;
  const RunKey& key_;
  const SiteProfile& site_;
  const JobBook& book_;
  const SubmitPlaces& places_;
  RunDirectory directory_;
  std::set<std::string> pending_, queued_;
  std::map<std::string, std::vector<std::string>> inputs_;
  SubmitPlan plan_;
};

}  // namespace

SubmitPlan plan_submission(Config& config, const std::vector<Stage>& selected, const RunKey& key,
                           const SiteProfile& site, const JobBook& book, const QueuedStages& queued,
                           const SubmitPlaces& places) {
  return Planner(config, key, site, book, queued, places).plan(selected);
}

double signal_seconds(const Config& config, const fs::path& run_dir, const std::string& stage,
                      int64_t limit_seconds) {
  double seconds = config.slurm.signal_seconds;
  if (seconds == 0) {
    const auto measured = measured_stop(RunDirectory(run_dir), stage);
    seconds = measured ? std::ceil(kAround + kSafety * *measured) : kUnmeasured;
  }
  if (limit_seconds > 0) seconds = std::min(seconds, static_cast<double>(limit_seconds) / 2);
  return std::max(1.0, seconds);
}

}  // namespace stylescope
