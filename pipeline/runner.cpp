#include "pipeline/runner.hpp"

#include "distributed/host.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/stage_state.hpp"
#include "pipeline/file_lock.hpp"
#include "pipeline/provenance.hpp"
#include "pipeline/startup_check.hpp"

#include <chrono>
#include <optional>
#include <set>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;

class Runner {
 public:
  Runner(const RunSettings& settings, const Launch& launch)
      : settings_(settings), launch_(launch), directory_(settings.run_dir) {}

  void run(const std::vector<Stage>& selected) {
    at_work_ = selected.front().name;
    try {
      run_all(selected);
    } catch (const Interrupted& error) {
      if (world().is_root()) tell("interrupted", error.what());
      throw;
    } catch (const TransientError& error) {
      tell("broken", error.what());
      throw;
    } catch (const Error& error) {
      tell("failed", error.what());
      throw;
    } catch (const std::exception& error) {
      tell("broken", error.what());
      throw;
    }
  }

 private:
  Communicator& world() { return launch_.world; }

  // For whoever decides whether the stage is to go on (io/stage_state.hpp). Every rank tells of its
  // own failure: the root may hear of it no more.
  void tell(const std::string& state, const std::string& cause = "") {
    if (at_work_.empty()) return;
    write_state(outcome_file(settings_.run_dir, at_work_),
                StageOutcome{state, cause, host_name(), ::getpid(), unix_time()});
  }

  void run_all(const std::vector<Stage>& selected) {
    on_root(world(), [&] { open(selected); });
    // What is said before the first stage stands in its file.
    const std::string& first = selected.front().name;
    if (world().is_root()) log::to_file(settings_.run_dir, first, 0);
    startup_check(launch_, settings_.config_yaml, settings_.run_dir);
    // Only now is it sure that this is the root's folder.
    if (!world().is_root()) log::to_file(settings_.run_dir, first, world().rank());
    for (const auto& stage : selected) {
      if (stage.name != first) log::to_file(settings_.run_dir, stage.name, world().rank());
      run_one(stage);
      if (launch_.stop.agreed(world()))
        throw Interrupted("stopped after stage '" + stage.name + "'; run again to go on");
    }
  }

  // Everything that can be wrong before work, and the run directory.
  void open(const std::vector<Stage>& selected) {
    forecast(selected, settings_.key, directory_);
    std::error_code failure;
    fs::create_directories(settings_.run_dir, failure);
    validate(!failure, settings_.run_dir.string(), ": cannot be made (", failure.message(),
             "); choose a run_dir that you may write to");
    using Mode = FileLock::Mode;
    run_lock_.emplace(settings_.run_dir / ".lock",
                      settings_.alone ? Mode::exclusive : Mode::shared);
    publish_text(settings_.run_dir / "config.yaml", settings_.config_yaml);
  }

  void run_one(const Stage& stage) {
    at_work_ = stage.name;
    std::optional<FileLock> lock;
    std::string resume_text;
    on_root(world(), [&] {
      lock.emplace(settings_.run_dir / ("." + stage.name + ".lock"), FileLock::Mode::exclusive);
      resume_text = prepare(stage);
    });
    resume_text = world().broadcast(resume_text, 0);
    if (world().is_root()) tell(resume_text.empty() ? "done" : "running");
    if (resume_text.empty()) return at_work_.clear();
    json resume = json::parse(resume_text);

    const auto begin = std::chrono::steady_clock::now();
    RunContext context{world(),
                       launch_.device,
                       launch_.dtype,
                       settings_.key.seed,
                       settings_.run_dir,
                       directory_.partial(stage.name),
                       launch_.stop,
                       settings_.images,
                       settings_.reduction,
                       settings_.stop_after,
                       directory_.partial(stage.name) / kProgressFile};
    world().doing(stage.name.c_str(), -1);
    json metrics = stage.run(context);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

    // Also the point at which every rank has written its files.
    const auto machines =
        world().all_gather(json{{"host", host_name()}, {"cpu", cpu_type()}}.dump());
    on_root(world(), [&] {
      publish(stage, resume, metrics, seconds, machines);
      tell("done");
    });
    world().doing("", -1);
    at_work_.clear();
    log::info("{}: done in {:.1f} s", stage.name, seconds);
  }

  // Decides; "" when there is nothing to do, else the content of the partial folder's resume.json.
  std::string prepare(const Stage& stage) {
    Decision decision = decide(stage, settings_.key, directory_, {});
    for (const auto& note : decision.notes) log::warn("{}: {}", stage.name, note);
    if (decision.action == Action::resume &&
        directory_.publish_left_over(stage.name, decision.key)) {
      log::info("{}: was complete but for its name; published", stage.name);
      write_manifest();
      return "";
    }
    if (decision.action == Action::up_to_date) {
      log::info("{}: up to date", stage.name);
      return "";
    }
    log::info("{}: starts ({})", stage.name, decision.reason);
    return (decision.action == Action::resume ? resumed(stage) : begun(stage, decision.key)).dump();
  }

  json situation() {
    return {{"world_size", world().size()},
            {"threads", launch_.threads},
            {"device", launch_.device.is_cuda() ? "cuda" : "cpu"},
            {"backend", launch_.device.is_cuda() ? world().backend() : "host memory"},
            {"wire", settings_.reduction.wire},
            {"cpu", cpu_type()}};
  }

  json begun(const Stage& stage, const json& key) {
    const json resume = {
        {"key", key}, {"situation", situation()}, {"started", utc_time()}, {"sessions", 1}};
    directory_.begin(stage.name, resume);
    return resume;
  }

  // Bits are the same only in the same situation: a change is said aloud.
  json resumed(const Stage& stage) {
    json resume = *directory_.resume_record(stage.name);
    const json now = situation();
    for (const auto& [what, value] : now.items()) {
      const json before = resume.at("situation").value(what, json());
      if (!before.is_null() && before != value)
        log::warn(
            "{}: goes on with another {} ({} before, {} now); the result may differ by rounding",
            stage.name, what, before.dump(), value.dump());
    }
    resume["situation"] = now;
    resume["sessions"] = resume.at("sessions").get<int64_t>() + 1;
    directory_.update_resume(stage.name, resume);
    return resume;
  }

  void publish(const Stage& stage, const json& resume, const json& metrics, double seconds,
               const std::vector<std::string>& machines) {
    std::set<std::string> hosts, cpus;
    for (const auto& text : machines) {
      const json machine = json::parse(text);
      hosts.insert(machine.at("host").get<std::string>());
      cpus.insert(machine.at("cpu").get<std::string>());
    }
    json record = resume.at("situation");
    record["stage"] = stage.name;
    record["key"] = resume.at("key");
    record["config"] = section_of(stage);
    record["program"] = {{"version", program_version()}, {"revision", program_revision()}};
    record["libraries"] = library_versions();
    record["started"] = resume.at("started");
    record["sessions"] = resume.at("sessions");
    record["finished"] = utc_time();
    record["wall_seconds"] = seconds;  // of the last session
    record["hosts"] = hosts;
    record["cpu"] = cpus;
    record["metrics"] = metrics;
    directory_.publish(stage.name, record);
    write_manifest();
  }

  void write_manifest() { directory_.write_manifest(settings_.name, settings_.all_stages); }

  const RunSettings& settings_;
  Launch launch_;
  RunDirectory directory_;
  std::optional<FileLock> run_lock_;
  std::string at_work_;  // the stage, or the first one before it; "": between two
};

}  // namespace

void run_stages(const std::vector<Stage>& selected, const RunSettings& settings,
                const Launch& launch) {
  Runner(settings, launch).run(selected);
}

}  // namespace stylescope
