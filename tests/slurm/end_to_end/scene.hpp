#pragma once

#include "tests/slurm/cluster/require_cluster.hpp"
#include "tests/slurm/end_to_end/cluster_run.hpp"

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

namespace stylescope::slurm_tests {

// What all cases share: the cluster, and a run of two ranks that nothing disturbed.
class Scene {
 public:
  // The one of this program; nullptr where no cluster can be started: why() says why. Throws
  // std::runtime_error where the undisturbed run fails.
  static Scene* shared();
  static const std::string& why();

  explicit Scene(std::unique_ptr<LocalCluster> cluster);
  LocalCluster& cluster() { return *cluster_; }
  const std::filesystem::path& undisturbed() const { return undisturbed_; }

 private:
  std::unique_ptr<LocalCluster> cluster_;
  TempDir folder_;
  std::filesystem::path undisturbed_;
};

// section.key=value of the undisturbed run, and of all that must end in its bits.
Words common_settings();

// Lets the ranks of a run's stage work a twentieth of the time, from their session's first progress
// on: a stage that lasts, and leaves the cores to others.
class Slowly {
 public:
  Slowly(const LocalCluster& cluster, const ClusterRun& run, const std::string& stage);
  ~Slowly();
  Slowly(const Slowly&) = delete;
  Slowly& operator=(const Slowly&) = delete;

 private:
  void work();
  std::vector<pid_t> ranks() const;
  bool makes_progress(double since) const;

  const LocalCluster& cluster_;
  const std::filesystem::path progress_;
  const std::string run_, stage_;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

struct Case {
  std::string name;
  RunPlan plan;
  std::function<void(Scene&, ClusterRun&)> body;
  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }
};

// Runs cases side by side, each in a thread and a run directory of its own.
class SideBySide {
 public:
  // So many of them at the same time, in this order.
  SideBySide(Scene& scene, std::vector<Case> cases, int at_once);
  ~SideBySide();
  SideBySide(const SideBySide&) = delete;
  SideBySide& operator=(const SideBySide&) = delete;

  // Waits for it; what was wrong. To be asked for once a case.
  std::vector<std::string> problems(const std::string& name);

 private:
  std::vector<Case> cases_;
  std::vector<std::promise<std::vector<std::string>>> results_;
  std::atomic<size_t> next_ = 0;
  std::vector<std::thread> workers_;
};
std::vector<std::string> run_case(Scene& scene, const Case& one);

// Of <run>/gan/generator.safetensors against the undisturbed run's.
void expect_same_generator(Scene& scene, ClusterRun& run);

}  // namespace stylescope::slurm_tests

// Where there is no scene the test is skipped, or fails where one is required
// (require_cluster.hpp).
#define STYLESCOPE_NEEDS_SCENE()                                                 \
  STYLESCOPE_SKIP_WITHOUT(::stylescope::slurm_tests::Scene::shared() != nullptr, \
                          ::stylescope::slurm_tests::Scene::why())
