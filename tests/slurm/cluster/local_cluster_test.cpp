// The cluster that the tests stand on: jobs run on it, a node can lose its power, and nothing of it
// outlives its test, not even one that is killed.
#include "io/atomic_file.hpp"
#include "tests/slurm/cluster/descendants.hpp"
#include "tests/slurm/cluster/require_cluster.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope::testing_support {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

int64_t submit(const LocalCluster& cluster, const std::string& body, const Words& options) {
  std::ofstream(cluster.folder() / "job.sh") << "#!/bin/bash\n" << body << "\n";
  Words words{"sbatch", "--parsable", "--requeue", "--open-mode=append", "--output=job.log"};
  words.insert(words.end(), options.begin(), options.end());
  words.push_back("job.sh");
  return std::stoll(cluster.ask(words));
}

QueueRow row_of(const std::vector<QueueRow>& rows, int64_t job) {
  const auto found = std::ranges::find(rows, job, &QueueRow::job);
  return found == rows.end() ? QueueRow{} : *found;
}

std::string log(const LocalCluster& cluster) {
  return fs::exists(cluster.folder() / "job.log") ? read_text(cluster.folder() / "job.log") : "";
}

bool alive(pid_t pid) { return fs::exists("/proc/" + std::to_string(pid) + "/exe"); }

TEST(LocalCluster, ANodeLosesItsPowerAndItsJobStartsElsewhere) {
  STYLESCOPE_REQUIRE_CLUSTER(cluster, ClusterShape{.nodes = 3});
  const auto job = submit(*cluster,
                          "echo start on $SLURM_JOB_NODELIST\n"
                          "[[ ${SLURM_RESTART_COUNT:-0} == 0 ]] && srun sleep 300\n"
                          "echo done",
                          {"--nodes=2"});
  const auto next = submit(*cluster, "echo next", {"--dependency=afterok:" + std::to_string(job)});
  cluster->wait_until("both steps of the job are there", 20s, [&](const auto&) {
    return cluster->run({"squeue", "-h", "--steps"}).out.find(".0 ") != std::string::npos;
  });
  ASSERT_GT(cluster->processes("n2").size(), 1u);
  const auto there = cluster->processes("n2");
  EXPECT_EQ(row_of(cluster->queue(), next).reason, "Dependency");
  cluster->kill_node("n2");
  // A killed process needs a moment to go.
  cluster->wait_until("its processes are gone", 20s,
                      [&](const auto&) { return std::ranges::none_of(there, alive); });
  EXPECT_TRUE(cluster->processes("n2").empty());
  cluster->wait_until("the job is requeued", 60s,
                      [&](const auto& rows) { return row_of(rows, job).restarts == 1; });
  cluster->wait_until_ended(next, 60s);
  const auto rows = cluster->queue();
  EXPECT_EQ(row_of(rows, job).state, "COMPLETED");
  EXPECT_EQ(row_of(rows, next).state, "COMPLETED");
  EXPECT_THAT(log(*cluster), HasSubstr("start on n[1-2]"));
  EXPECT_THAT(log(*cluster), HasSubstr("start on n[1,3]\ndone"));
  cluster->start_node("n2");
  EXPECT_GT(cluster->processes("n2").size(), 0u);
}

TEST(LocalCluster, NothingOutlivesATestThatIsKilled) {
  STYLESCOPE_REQUIRE_CLUSTER(first, ClusterShape{.nodes = 1});  // says why, where there is none
  first.reset();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const TempDir folder;
  const pid_t test = ::fork();
  if (test == 0) {
    // As a test that is in the middle of its work.
    ::setenv("TMPDIR", folder.path().c_str(), 1);
    LocalCluster cluster({.nodes = 1});
    submit(cluster, "setsid sleep 300 & srun sleep 300", {});
    cluster.wait_until("the step runs", 20s, [&](const auto&) {
      return cluster.run({"squeue", "-h", "--steps"}).out.find(".0 ") != std::string::npos;
    });
    for (const pid_t pid : descendants_of(::getpid())) {
      const auto text = std::to_string(pid) + "\n";
      if (::write(ends[1], text.data(), text.size()) < 0) ::_exit(1);
    }
    ::close(ends[1]);
    ::pause();
  }
  ::close(ends[1]);
  std::string text;
  char part[4096];
  for (ssize_t n = 0; (n = ::read(ends[0], part, sizeof part)) > 0;)
    text.append(part, static_cast<size_t>(n));
  ::close(ends[0]);
  ::kill(test, SIGKILL);
  ::waitpid(test, nullptr, 0);
  std::vector<pid_t> processes;
  std::istringstream lines(text);
  for (pid_t pid = 0; lines >> pid;) processes.push_back(pid);
  // munged, slurmctld with its helper, slurmd, two slurmstepd at least, three sleeps, keepers.
  ASSERT_GT(processes.size(), 9u) << text;
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (std::ranges::any_of(processes, alive) && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(20ms);
  for (const pid_t pid : processes) EXPECT_FALSE(alive(pid)) << pid;
}

}  // namespace
}  // namespace stylescope::testing_support
