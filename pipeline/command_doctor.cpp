#include "io/base/error.hpp"
#include "io/base/quiet_thread.hpp"
#include "io/stage_state.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/doctor.hpp"
#include "pipeline/site_loader.hpp"

#include <atomic>
#include <condition_variable>
#include <iostream>
#include <memory>
#include <mutex>

namespace stylescope {
namespace {

using Level = Finding::Level;

// Ends the program when the checks take too long: a file system or a network that hangs must not
// hang the doctor too.
class Deadline {
 public:
  Deadline(double seconds, bool speaks)
      : seconds_(seconds), speaks_(speaks), thread_(quiet_thread([this] { watch(); })) {}
  ~Deadline() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void at(const char* check) { check_ = check; }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, std::chrono::duration<double>(seconds_), [this] { return over_; }))
      return;
    if (speaks_)
      std::cout << "failure  " << check_.load() << ": did not end within " << seconds_
                << " s (--deadline): it hangs, or waits for a rank or a file system that does not "
                   "answer"
                << std::endl;
    std::_Exit(static_cast<int>(ExitCode::failed));
  }

  double seconds_;
  bool speaks_;
  std::atomic<const char*> check_ = "start";
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

struct DoctorCommand {
  std::string config_file;
  DoctorSettings settings;
  bool in_job = false, json = false;
  double deadline = 60;

  void prepare() {
    settings.mpi = "pmix";
    if (config_file.empty()) return;
    Config config = load_config(config_file, {});
    settings.files = named_files(to_json(config));
    const SiteProfile site = load_site(config.slurm.site);
    settings.mpi = site.launcher == "srun" ? site.mpi : "";
    settings.threads = config.threads;
  }

  void run(Communicator& world) {
    const double begin = unix_time();
    Deadline until(deadline, world.is_root());
    DoctorScene scene(settings, world);
    int failures = 0;
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    const auto look = [&](const DoctorCheck& check) {
      until.at(check.name);
      std::vector<Finding> found;
      try {
        if (check.collective || world.is_root()) found = check.look(scene);
      } catch (const Error& error) {
        if (check.collective) throw;
        found = {{Level::failure, error.what()}};
      }
      if (world.is_root()) tell(check.name, found, rows, failures);
    };
    for (const auto& check : doctor_checks()) look(check);
    if (in_job)
      for (const auto& check : doctor_checks_in_job()) look(check);
    if (world.is_root()) close(rows, failures, unix_time() - begin);
    failures = static_cast<int>(world.all_reduce(static_cast<double>(failures), ReduceOp::max));
    if (failures > 0)
      throw Error(detail::concatenate("doctor: ", failures, " failure(s), see above"));
  }

  void tell(const char* check, const std::vector<Finding>& found, nlohmann::ordered_json& rows,
            int& failures) const {
    static constexpr const char* kWords[] = {"ok", "warning", "failure"};
    for (const auto& finding : found) {
      const char* word = kWords[static_cast<int>(finding.level)];
      if (finding.level == Level::failure) ++failures;
      rows.push_back({{"check", check}, {"level", word}, {"text", finding.text}});
      if (!json)
        std::cout << word << std::string(9 - std::string(word).size(), ' ') << check << ": "
                  << finding.text << std::endl;
    }
  }

  void close(const nlohmann::ordered_json& rows, int failures, double seconds) const {
    if (json)
      std::cout << rows.dump(1) << std::endl;
    else
      std::cout << (failures == 0 ? "fit to run" : "not fit to run") << " (" << rows.size()
                << " findings in " << std::lround(seconds * 10) / 10.0 << " s)" << std::endl;
  }
};

}  // namespace

Task add_doctor(CLI::App& app) {
  auto command = std::make_shared<DoctorCommand>();
  app.add_flag("--in-job", command->in_job,
               "inside an allocation, started by srun or mpirun: ranks, binding, GPUs, network");
  app.add_option("--config", command->config_file,
                 "a configuration, for its site, threads and the files that it names");
  app.add_option("--run-dir", command->settings.folder,
                 "a folder on the file system of the runs (default: here)")
      ->check(CLI::ExistingDirectory);
  app.add_option("--deadline", command->deadline, "seconds until it ends, whatever hangs")
      ->check(CLI::PositiveNumber);
  app.add_flag("--json", command->json, "findings as JSON");
  app.footer(
      "Exit code 1 when something is not fit to run. Every finding that is not ok says what "
      "to do.");
  return {[command] { command->prepare(); },
          [command](Communicator& world) { command->run(world); }};
}

}  // namespace stylescope
