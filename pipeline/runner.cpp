#include "pipeline/runner.hpp"

#include "distributed/host.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/stage_state.hpp"
#include "io/utc_time.hpp"
#include "pipeline/file_lock.hpp"
#include "pipeline/provenance.hpp"
#include "pipeline/session_outcome.hpp"
#include "pipeline/startup_check.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <set>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;

class Runner {
 public:
  Runner(const RunSettings& settings, const Launch& launch)
      : settings_(settings),
        launch_(launch),
        directory_(settings.run_dir),
        outcome_(settings.run_dir, launch.world.is_root()) {}

  void run(const std::vector<Stage>& selected) {
    try {
      run_all(selected);
    } catch (...) {
      outcome_.failed();
      throw;
    }
  }

 private:
  Communicator& world() { return launch_.world; }
  bool is_task() const { return settings_.task >= 0; }
  std::string session_of(const Stage& stage) const {
    return session_name(stage.name, settings_.task);
  }

  void run_all(const std::vector<Stage>& selected) {
    // What happens before the first stage is told as of it, and stands in its log.
    const std::string first = session_of(selected.front());
    outcome_.of(first);
    on_root(world(), [&] { open(selected); });
    if (world().is_root()) log::to_file(settings_.run_dir, first, 0);
    startup_check(launch_, settings_.config_yaml, settings_.run_dir);
    // Only now is it sure that this is the root's folder.
    if (!world().is_root()) log::to_file(settings_.run_dir, first, world().rank());
    for (size_t i = 0; i < selected.size(); ++i) {
      const Stage& stage = selected[i];
      if (i > 0) {
        outcome_.of(session_of(stage));
        log::to_file(settings_.run_dir, session_of(stage), world().rank());
      }
      run_one(stage);
      if (!launch_.stop.agreed(world())) continue;
      // The stage is done: what was interrupted is the next.
      if (i + 1 < selected.size()) outcome_.of(session_of(selected[i + 1]));
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
    StageLocks locks;
    std::string resume_text;
    on_root(world(), [&] { resume_text = is_task() ? join(stage, locks) : take(stage, locks); });
    resume_text = world().broadcast(resume_text, 0);
    if (resume_text.empty()) {
      outcome_.done();
      return;
    }
    outcome_.running();
    work(stage, json::parse(resume_text));
    outcome_.done();
  }

  void work(const Stage& stage, const json& resume) {
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
                       directory_.partial(stage.name) / progress_file_name(settings_.task),
                       settings_.task,
                       settings_.tasks};
    world().doing(stage.name.c_str(), -1);
    const json metrics = stage.run(context);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

    // Also the point at which every rank has written its files.
    const auto machines =
        world().all_gather(json{{"host", host_name()}, {"cpu", cpu_type()}}.dump());
    if (!is_task()) on_root(world(), [&] { publish(stage, resume, metrics, seconds, machines); });
    world().doing("", -1);
    log::info("{}: done in {:.1f} s", session_of(stage), seconds);
  }

  // What the root holds while a stage works. Whoever makes a stage holds <stage>.lock for itself
  // alone; tasks hold it together, and each a lock of its own number.
  struct StageLocks {
    std::unique_ptr<FileLock> number, stage;
  };
  fs::path lock_file(const std::string& name) const {
    return settings_.run_dir / ("." + name + ".lock");
  }

  std::string take(const Stage& stage, StageLocks& locks) {
    locks.stage = std::make_unique<FileLock>(lock_file(stage.name), FileLock::Mode::exclusive);
    return prepare(stage);
  }

  // Tasks decide one after another, and each either alone with the stage or beside others that work
  // already: then it begins nothing. (A lock cannot be turned from exclusive into shared in one
  // step. Who comes in between is a run without a task: it finds what was begun, and this task is
  // refused.)
  std::string join(const Stage& stage, StageLocks& locks) {
    using Mode = FileLock::Mode;
    locks.number = std::make_unique<FileLock>(lock_file(session_of(stage)), Mode::exclusive);
    Flock turn(lock_file(stage.name + ".turn"));
    turn.lock(Mode::exclusive, Flock::Wait::yes);
    if (const auto alone = FileLock::if_free(lock_file(stage.name), Mode::exclusive))
      prepare_task(stage, true);
    locks.stage = std::make_unique<FileLock>(lock_file(stage.name), Mode::shared);
    const std::string resume = prepare_task(stage, false);
    if (resume.empty())
      log::info("{}: nothing is left to do", session_of(stage));
    else
      log::info("{}: starts (share {} of {})", session_of(stage), settings_.task, settings_.tasks);
    return resume;
  }

  std::string prepare_task(const Stage& stage, bool alone) {
    const Decision decision = decide(stage, settings_.key, directory_, {});
    if (decision.action == Action::up_to_date) return "";
    // Complete but for its name, which a run without a task gives it.
    if (decision.action == Action::resume && directory_.is_complete(stage.name)) return "";
    const fs::path partial = directory_.partial(stage.name);
    json resume;
    if (decision.action == Action::resume) {
      resume = *directory_.resume_record(stage.name);
    } else {
      validate(alone, partial.string(),
               ": other tasks work there, for another configuration or other inputs (",
               decision.notes.empty() ? decision.reason : decision.notes.front(),
               "); wait until they have ended");
      for (const auto& note : decision.notes) log::warn("{}: {}", stage.name, note);
      resume = begun(stage, decision.key);
    }
    share_out(stage, resume, alone);
    return resume.dump();
  }

  // Shares of another number of tasks would overlap.
  void share_out(const Stage& stage, json& resume, bool alone) {
    const auto before = resume.value("tasks", int64_t{0});
    if (before == settings_.tasks) return;
    validate(alone, directory_.partial(stage.name).string(),
             ": other tasks work there, each on one of ", before, " shares (this one: of ",
             settings_.tasks, "); wait until they have ended, or say --task K/", before);
    resume["tasks"] = settings_.tasks;
    directory_.update_resume(stage.name, resume);
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
  SessionOutcome outcome_;
  std::optional<FileLock> run_lock_;
};

}  // namespace

void run_stages(const std::vector<Stage>& selected, const RunSettings& settings,
                const Launch& launch) {
  Runner(settings, launch).run(selected);
}

}  // namespace stylescope
