#include "pipeline/resume_trial.hpp"

#include "distributed/random.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/checkpoint.hpp"
#include "io/child_process.hpp"
#include "io/log.hpp"
#include "pipeline/run_directory.hpp"

#include <algorithm>
#include <set>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// How many checkpoints a trial writes on its way.
constexpr int64_t kCheckpoints = 5;

class StageTrial {
 public:
  StageTrial(const ResumeTrial& trial, const Stage& stage, const std::vector<Stage>& all)
      : trial_(trial),
        stage_(stage),
        all_(all),
        steps_(trial.steps),
        every_(std::max<int64_t>(trial.steps / kCheckpoints, 1)),
        log_(trial.scratch / (stage.name + ".log")) {}

  TrialOutcome run() {
    provide_inputs("undisturbed");
    const int code = start("undisturbed").wait();
    expect_stop(code);
    // A shorter stage is compared whole.
    const bool whole = code == 0;
    if (whole) steps_ = record("undisturbed").at("metrics").at("steps").get<int64_t>();
    every_ = std::max<int64_t>(steps_ / kCheckpoints, 1);
    provide_inputs("killed");
    std::string kills;
    for (int64_t n = 0; n < trial_.kills; ++n) {
      const int64_t step = kill_step(n);
      kill_at(step);
      kills += (n == 0 ? "" : ", ") + std::to_string(step);
    }
    expect_stop(start("killed").wait());
    expect_resumed();
    if (whole) return compare_outputs(kills);
    const auto left = newest("undisturbed"), right = newest("killed");
    SS_CHECK(left.step == right.step, left.step, " ", right.step);
    const auto different = differences(left, right);
    const auto begin =
        detail::concatenate(left.step, " steps, killed in step ", kills, " and started again: ");
    if (different.empty())
      return {true, detail::concatenate(begin, "the same bits in all ", left.tensors.size(),
                                        " tensors and ", left.numbers.size(), " numbers")};
    return {false, detail::concatenate(begin, different.size(), " differ, first '",
                                       different.front(), "'")};
  }

 private:
  // The finished stage, file by file; logs tell times.
  TrialOutcome compare_outputs(const std::string& kills) const {
    const auto left = record("undisturbed").at("output_hash"),
               right = record("killed").at("output_hash");
    return {left == right,
            detail::concatenate("all ", steps_, " steps, killed in step ", kills,
                                " and started again: ",
                                left == right ? "the same bits in all files" : "other files")};
  }

  nlohmann::json record(const std::string& which) const {
    const auto found = RunDirectory(folder(which)).record(stage_.name);
    SS_CHECK(found.has_value(), which);
    return *found;
  }

  fs::path folder(const std::string& which) const {
    return trial_.scratch / (stage_.name + "-" + which);
  }

  // Finished stages of the user's run, by a link; what is missing there is made, once for all
  // trials.
  void provide_inputs(const std::string& which) {
    const auto run = folder(which), made = trial_.scratch / "inputs";
    fs::create_directories(run);
    for (const auto& input : stage_.inputs) {
      auto source = fs::absolute(trial_.finished_run) / input;
      if (!fs::exists(source / "stage.json")) source = made / input;
      if (!fs::exists(source / "stage.json")) make(made, input);
      fs::create_directory_symlink(source, run / input);
    }
  }

  // With all that it needs itself.
  void make(const fs::path& run, const std::string& input) {
    log::info("{}: makes '{}' first, which {} has not finished", stage_.name, input,
              trial_.finished_run.string());
    std::set<std::string> needed;
    collect(input, needed);
    std::string list;
    for (const auto& name : needed) list += (list.empty() ? "" : ",") + name;
    const int code = ChildProcess(words(run, {"--only", list}), log_).wait();
    if (code != 0) fail("making its input '" + input + "'", code);
  }

  void collect(const std::string& name, std::set<std::string>& needed) const {
    const auto stage = std::ranges::find(all_, name, &Stage::name);
    SS_CHECK(stage != all_.end(), name);
    needed.insert(name);
    for (const auto& input : stage->inputs) collect(input, needed);
  }

  std::vector<std::string> words(const fs::path& run, const std::vector<std::string>& more,
                                 bool fault = false) const {
    std::vector<std::string> line = trial_.launcher;
    // Open MPI's launcher hands on to other hosts only what it is told to.
    if (fault && fs::path(line.empty() ? "" : line.front()).filename().string().starts_with("mpi"))
      line.insert(line.begin() + 1, {"-x", "STYLESCOPE_FAULT"});
    line.insert(line.end(), {trial_.program.string(), "run", trial_.config_file.string()});
    for (const auto& assignment : trial_.overrides) line.insert(line.end(), {"--set", assignment});
    line.insert(line.end(), {"--set", "run_dir=" + run.string()});
    line.insert(line.end(), more.begin(), more.end());
    return line;
  }

  ChildProcess start(const std::string& which, const std::vector<std::string>& environment = {}) {
    return {
        words(folder(which), {"--set", stage_.name + ".checkpoint.steps=" + std::to_string(every_),
                              "--only", stage_.name, "--stop-after", std::to_string(trial_.steps)}),
        log_, environment};
  }

  // After a first checkpoint, later each time, before the last step.
  int64_t kill_step(int64_t n) const {
    const int64_t begin = std::min(every_ + 1, steps_ - 1);
    const int64_t first = begin + n * (steps_ - begin) / trial_.kills;
    const int64_t beyond = begin + (n + 1) * (steps_ - begin) / trial_.kills;
    const RandomKey key{trial_.seed, "verify-resume.kill", n};
    return first + (beyond > first ? keyed_integer(key, beyond - first) : 0);
  }

  // A rank kills itself, wherever the launcher has put it.
  void kill_at(int64_t step) {
    const auto rank = keyed_integer({trial_.seed, "verify-resume.rank", step}, trial_.ranks);
    const auto fault =
        detail::concatenate("STYLESCOPE_FAULT=kill:", rank, ":", stage_.name, ":", step, ":1");
    const int code = start("killed", {fault}).wait();
    if (code == 0 || code == static_cast<int>(ExitCode::interrupted))
      fail("being killed in step " + std::to_string(step), code);
    if (checkpoints("killed").steps().empty())
      fail("being killed in step " + std::to_string(step) + ", without a checkpoint,", code);
  }

  // That it did go on, and did not begin anew, is part of the proof.
  void expect_resumed() const {
    SS_CHECK(read_text(log_).find("goes on from the checkpoint of step") != std::string::npos,
             stage_.name);
  }

  CheckpointDirectory checkpoints(const std::string& which) const {
    return {RunDirectory(folder(which)).partial(stage_.name) / "checkpoints", 2};
  }

  Checkpoint newest(const std::string& which) const {
    const auto found = checkpoints(which).load_newest();
    SS_CHECK(found.has_value(), which);
    return *found;
  }

  void expect_stop(int code) const {
    if (code != static_cast<int>(ExitCode::interrupted) && code != 0)
      fail("training for " + std::to_string(trial_.steps) + " steps", code);
  }

  [[noreturn]] void fail(const std::string& what, int code) const {
    constexpr size_t kShown = 2000;
    std::string said = fs::exists(log_) ? read_text(log_) : "";
    if (said.size() > kShown) said = said.substr(said.size() - kShown);
    throw Error(detail::concatenate("verify-resume: ", stage_.name, ": ", what,
                                    " ended with exit code ", code, "; it said:\n", said));
  }

  const ResumeTrial& trial_;
  const Stage& stage_;
  const std::vector<Stage>& all_;
  int64_t steps_, every_;
  fs::path log_;
};

}  // namespace

TrialOutcome try_resume(const ResumeTrial& trial, const Stage& stage,
                        const std::vector<Stage>& all) {
  return StageTrial(trial, stage, all).run();
}

}  // namespace stylescope
