#include "slurm/job_script.hpp"

#include "io/atomic_file.hpp"
#include "tests/support/temp_dir.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

// The scripts as they should be lie in tests/slurm/golden. After a change that is meant:
//   STYLESCOPE_WRITE_GOLDEN=1 slurm_test --gtest_filter='JobScript.*', and look at the difference.
namespace stylescope {
namespace {

namespace fs = std::filesystem;

JobScript gan() {
  JobScript job;
  job.run_name = "knees";
  job.stage = "gan";
  job.run_dir = "/home/ada/project/runs/knees";
  job.work_dir = "/home/ada/project";
  job.program = "/home/ada/stylescope/bin/stylescope";
  job.resources.nodes = 2;
  job.resources.tasks_per_node = 4;
  job.resources.cpus_per_task = 8;
  job.resources.gpus_per_node = 4;
  job.resources.memory = "200G";
  job.resources.time = "24:00:00";
  job.resources.partition = "gpu";
  job.resources.account = "radiology";
  job.resources.qos = "normal";
  job.resources.constraint = "a100";
  job.signal_seconds = 95;
  return job;
}

void expect_golden(const std::string& name, const JobScript& job, const SiteProfile& site) {
  const fs::path file = fs::path(STYLESCOPE_SCRIPTS) / name;
  const std::string text = job_script(job, site);
  if (std::getenv("STYLESCOPE_WRITE_GOLDEN")) std::ofstream(file) << text;
  EXPECT_EQ(read_text(file), text) << file;
  // And it is a script that bash can read.
  const testing_support::TempDir dir;
  std::ofstream(dir.path() / "script") << text;
  EXPECT_EQ(0, std::system(("bash -n '" + (dir.path() / "script").string() + "'").c_str()));
}

TEST(JobScript, BySrun) {
  SiteProfile site;
  site.name = "generic";
  expect_golden("gan-srun.sbatch", gan(), site);
}

TEST(JobScript, ByMpirunWithModulesAndFollowUps) {
  SiteProfile site;
  site.name = "old cluster";
  site.setup = {"source /etc/profile.d/modules.sh", "module purge"};
  site.modules = {"gcc/12.2", "openmpi/4.1.5"};
  site.environment = {"NCCL_SOCKET_IFNAME=ib0", "UCX_TLS=rc,sm,self",
                      "SCRATCH=${TMPDIR}/it's \"here\""};
  site.launcher = "mpirun";
  site.launcher_options = {"--bind-to", "core"};
  site.restart = "follow_up";
  JobScript job = gan();
  job.work_dir = "/home/ada/my project";
  job.run_dir = "/home/ada/my project/runs/knees";
  job.resources = {};
  job.resources.tasks = 16;
  job.resources.options = {"--exclusive"};
  expect_golden("gan-mpirun.sbatch", job, site);
}

TEST(JobScript, InApptainer) {
  SiteProfile site;
  site.name = "apptainer";
  site.container = "apptainer";
  site.image = "/apps/stylescope.sif";
  site.mounts = {"/data/oai"};
  site.container_options = {"--cleanenv"};
  site.mpi = "pmi2";
  expect_golden("gan-apptainer.sbatch", gan(), site);
}

TEST(JobScript, InPyxis) {
  SiteProfile site;
  site.name = "pyxis";
  site.container = "pyxis";
  site.image = "/apps/stylescope.sqsh";
  site.mounts = {"/data/oai:/oai"};
  site.gpu_bind = "closest";
  expect_golden("gan-pyxis.sbatch", gan(), site);
}

TEST(JobScript, AShareOfTheSlides) {
  JobScript job = gan();
  job.stage = "tile";
  job.shares = 2500;
  job.resources = {};
  job.resources.cpus_per_task = 16;
  expect_golden("tile-shares.sbatch", job, {});
}

// Neither restarts nor the words of a stage.
JobScript call() {
  JobScript job = gan();
  job.run_name = "bench-scale";
  job.stage = "nodes-2";
  job.run_dir = "/home/ada/project/bench-scale";
  job.words = {"bench", "scale", "--ranks", "8", "--out", "/home/ada/project/bench-scale/nodes-2"};
  return job;
}

TEST(JobScript, OneCallByAllRanks) {
  SiteProfile site;
  site.name = "gpus";
  site.modules = {"openmpi/4.1.5"};
  site.environment = {"NCCL_SOCKET_IFNAME=ib0"};
  expect_golden("call-srun.sbatch", call(), site);
}

TEST(JobScript, OneCallOutsideOfTheLauncher) {
  SiteProfile site;
  site.container = "apptainer";
  site.image = "/apps/stylescope.sif";
  JobScript job = call();
  job.by_all = false;
  job.resources = {};
  expect_golden("call-apptainer.sbatch", job, site);
}

TEST(JobScript, WordsAreQuotedForBash) {
  EXPECT_EQ("plain-1.2/x", shell_word("plain-1.2/x"));
  EXPECT_EQ("'two words'", shell_word("two words"));
  EXPECT_EQ("'it'\\''s'", shell_word("it's"));
  EXPECT_EQ("''", shell_word(""));
  EXPECT_EQ("'$HOME'", shell_word("$HOME"));
}

}  // namespace
}  // namespace stylescope
