#include "tests/slurm/end_to_end/scene.hpp"

#include "io/atomic_file.hpp"
#include "io/sha256.hpp"
#include "io/stage_state.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iostream>
#include <stdexcept>

namespace fs = std::filesystem;

namespace stylescope::slurm_tests {
namespace {

using namespace std::chrono_literals;

std::string command_line_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  std::string text;
  std::getline(file, text);  // nothing, where the process is gone by now
  std::ranges::replace(text, '\0', ' ');
  return text;
}

// Arrays of more than five tasks are cut. There are more cores on paper than in the machine.
const testing_support::ClusterShape kShape{.nodes = 4, .cpus = 6, .max_array_size = 5};

// Only a cluster may be missing: a run that fails is no reason to skip anything.
struct Shared {
  std::string why;
  std::unique_ptr<Scene> scene;
  Shared() {
    if (auto cluster = testing_support::start_cluster(kShape, why))
      scene = std::make_unique<Scene>(std::move(cluster));
  }
};

Shared& shared_scene() {
  static Shared shared;
  return shared;
}

}  // namespace

Scene* Scene::shared() { return shared_scene().scene.get(); }
const std::string& Scene::why() { return shared_scene().why; }

Words common_settings() {
  return {"run_dir=run", "threads=1", "device=cpu", "gan.kimg=2.4", "gan.checkpoint.steps=20"};
}

Scene::Scene(std::unique_ptr<LocalCluster> cluster)
    : cluster_(std::move(cluster)), undisturbed_(folder_ / "run") {
  Words line{STYLESCOPE_MPIEXEC, "-n",        "2",
             "--oversubscribe",  "--bind-to", "none",
             STYLESCOPE_BINARY,  "run",       STYLESCOPE_SMOKE};
  for (const auto& setting : common_settings()) line.insert(line.end(), {"--set", setting});
  const auto environment =
      testing_support::clean_environment({{"OMP_NUM_THREADS", "1"},
                                          {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                          {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                          {"OMPI_MCA_mpi_yield_when_idle", "1"}});
  const auto outcome = testing_support::run_command(line, environment, folder_.path(), 3min);
  if (outcome.code != 0) throw std::runtime_error("the undisturbed run failed: " + outcome.err);
}

Slowly::Slowly(const LocalCluster& cluster, const ClusterRun& run, const std::string& stage)
    : cluster_(cluster),
      progress_(run.run() / (stage + ".partial") / progress_file_name()),
      run_((run.run() / "slurm").string()),
      stage_(stage),
      thread_([this] { work(); }) {}

Slowly::~Slowly() {
  ends_ = true;
  thread_.join();
}

void Slowly::work() {
  std::vector<pid_t> known;
  double since = 0;
  for (int turn = 0; !ends_; ++turn) {
    if (turn % 4 == 0) {
      const auto now = ranks();
      if (now != known) since = unix_time();
      known = now;
    }
    const bool stops = !known.empty() && makes_progress(since);
    if (stops)
      for (const pid_t pid : known) ::kill(pid, SIGSTOP);
    std::this_thread::sleep_for(285ms);
    for (const pid_t pid : known) ::kill(pid, SIGCONT);
    std::this_thread::sleep_for(15ms);
  }
}

std::vector<pid_t> Slowly::ranks() const {
  std::vector<pid_t> found;
  for (const auto& node : cluster_.nodes())
    for (const pid_t pid : cluster_.processes(node)) {
      const auto line = command_line_of(pid);
      if (line.starts_with(STYLESCOPE_BINARY) && line.find(" run " + run_) != std::string::npos &&
          line.find(" --only " + stage_ + " ") != std::string::npos)
        found.push_back(pid);
    }
  std::ranges::sort(found);
  return found;
}

bool Slowly::makes_progress(double since) const {
  const auto progress = read_state<StageProgress>(progress_);
  return progress && progress->updated > since;
}

std::vector<std::string> run_case(Scene& scene, const Case& one) {
  ClusterRun run(scene.cluster(), one.plan);
  const auto begin = std::chrono::steady_clock::now();
  try {
    one.body(scene, run);
  } catch (const std::exception& problem) {
    run.expect(false, problem.what());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::cout << one.name + ": " + std::to_string(std::lround(took.count())) + " s, status asked " +
                   std::to_string(run.times_asked()) + " times\n"
            << std::flush;
  auto problems = run.problems();
  if (!problems.empty()) problems.push_back("gan's job said:\n" + run.log("gan"));
  return problems;
}

SideBySide::SideBySide(Scene& scene, std::vector<Case> cases, int at_once)
    : cases_(std::move(cases)), results_(cases_.size()) {
  for (int i = 0; i < at_once; ++i)
    workers_.emplace_back([this, &scene] {
      for (size_t at = next_++; at < cases_.size(); at = next_++)
        results_[at].set_value(run_case(scene, cases_[at]));
    });
}

SideBySide::~SideBySide() {
  for (auto& worker : workers_) worker.join();
}

std::vector<std::string> SideBySide::problems(const std::string& name) {
  const auto found = std::ranges::find(cases_, name, &Case::name);
  return results_.at(static_cast<size_t>(found - cases_.begin())).get_future().get();
}

void expect_same_generator(Scene& scene, ClusterRun& run) {
  const fs::path file = "gan/generator.safetensors";
  if (!fs::exists(run.run() / file)) return run.expect(false, "there is no generator");
  run.expect(sha256_of_file(run.run() / file) == sha256_of_file(scene.undisturbed() / file),
             "the generator is not the undisturbed run's");
}

}  // namespace stylescope::slurm_tests
