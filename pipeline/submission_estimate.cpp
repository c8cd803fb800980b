#include "pipeline/submission_estimate.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/checkpoint.hpp"
#include "pipeline/estimate.hpp"

#include <algorithm>
#include <filesystem>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using detail::concatenate;

// Of the stage's work, in its unit, what an interrupted session left behind.
double done_before(const RunDirectory& directory, const StageWork& work) {
  const fs::path folder = directory.partial(work.stage);
  if (work.batch > 0) {
    const auto steps = CheckpointDirectory(folder / "checkpoints", 1).steps();
    return steps.empty() ? 0 : static_cast<double>(steps.back() * work.batch);
  }
  if (work.stage != "tile") return 0;
  double slides = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder / "slides", ignored))
    if (entry.path().extension() == ".json") ++slides;
  return slides;
}

class Submission {
 public:
  Submission(Config& config, const SubmitPlan& plan, const EstimateSources& sources)
      : config_(config),
        plan_(plan),
        sources_(sources),
        directory_(config.run_dir),
        networks_(networks_of(config)),
        costs_(networks_) {}

  std::string estimate() {
    count_work();
    gather_rates();
    const auto sizes = network_sizes(networks_);
    const int64_t element = config_.precision == "float64" ? 8 : 4;
    std::vector<StageEstimate> stages;
    for (size_t i = 0; i < work_.size(); ++i) {
      const auto& work = work_[i];
      const bool resumed = plan_.resumed.contains(work.stage);
      stages.push_back(estimate_stage(work, jobs_[i], rates_,
                                      step_messages(networks_, work.stage, element),
                                      resumed ? done_before(directory_, work) : 0));
      stages.back().disk = stage_disk(config_, work.stage, images_, sizes, rates_.image_bytes);
    }
    std::map<std::string, std::vector<std::string>> inputs;
    for (const auto& stage : stages_of(config_)) inputs[stage.name] = stage.inputs;
    return estimate_text(stages, inputs, rates_.notes);
  }

 private:
  void count_work() {
    const bool planned = std::ranges::any_of(
        plan_.stages, [&](const auto& stage) { return stage.script.stage == config_.images; });
    images_ =
        known_images(config_, directory_, planned || !fs::exists(directory_.stage(config_.images)));
    for (const auto& stage : plan_.stages) {
      work_.push_back(stage_work(config_, stage.script.stage, images_));
      jobs_.push_back(job_shape(stage));
      jobs_.back().restarts = config_.slurm.restarts;
    }
  }

  // What the user names comes first, then the run itself, then this machine.
  void gather_rates() {
    OurWork ours{config_, work_, costs_};
    for (size_t i = 0; i < work_.size(); ++i) ours.ranks[work_[i].stage] = jobs_[i].ranks;
    for (const auto& source : sources_.rates) add_source(source, ours);
    try {
      add_run(rates_, config_.run_dir, ours);
    } catch (const Error& error) {
      rates_.notes.push_back(std::string("no rates from the run itself: ") + error.what());
    }
    if (sources_.measure) add_here(rates_, ours, sources_.seconds);
    if (!rates_.any())
      rates_.notes.push_back(
          "hours are not known without measured rates: give a run that is done or under way "
          "(--rates RUN_DIR), or measure on this machine (--measure)");
  }

  void add_source(const std::string& source, const OurWork& ours) {
    if (fs::is_directory(source)) {
      if (!add_run(rates_, source, ours))
        throw UsageError("--rates " + source +
                         ": is no run directory (it has no config.yaml); name one, or what bench "
                         "scale --json printed");
      return;
    }
    if (!fs::exists(source))
      throw UsageError("--rates " + source +
                       ": is not there; name a run directory, or what bench scale --json printed");
    const auto report = nlohmann::json::parse(read_text(source), nullptr, false);
    add_report(rates_, report, source, ours);
  }

  Config& config_;
  const SubmitPlan& plan_;
  const EstimateSources& sources_;
  RunDirectory directory_;
  BenchNetworks networks_;
  PassCosts costs_;
  KnownImages images_;
  std::vector<StageWork> work_;
  std::vector<JobShape> jobs_;
  MeasuredRates rates_;
};

}  // namespace

void add_estimate_options(CLI::App& app, CLI::Option* dry_run, EstimateSources& sources) {
  app.add_option("--rates", sources.rates,
                 "with --dry-run: hours from the rates of this run directory, or from what bench "
                 "scale --json or bench comm --json printed; may be repeated")
      ->allow_extra_args(false)
      ->needs(dry_run);
  app.add_flag("--measure", sources.measure,
               "with --dry-run: measure on this machine, now, what the rates do not tell")
      ->needs(dry_run);
  app.add_option("--measure-seconds", sources.seconds, "for each network and pass")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str()
      ->needs(dry_run);
}

std::string submission_estimate(Config& config, const SubmitPlan& plan,
                                const EstimateSources& sources) {
  return plan.stages.empty() ? "" : Submission(config, plan, sources).estimate();
}

}  // namespace stylescope
