#include "pipeline/doctor.hpp"

#include "distributed/communicator.hpp"
#include "io/base/error.hpp"
#include "io/file_system_probe.hpp"
#include "pipeline/doctor_checks.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <cstdlib>

#include <gmock/gmock.h>

namespace stylescope {
namespace {

using testing::HasSubstr;
using Level = Finding::Level;

HostFacts rank_on(const std::string& host, std::vector<int> cores = {0, 1}, int64_t threads = 2) {
  HostFacts facts;
  facts.host = host;
  facts.cores = std::move(cores);
  facts.threads = threads;
  facts.nodes = {{"node0", {0, 1, 2, 3}}, {"node1", {4, 5, 6, 7}}};
  facts.memory_mb = 64000;
  facts.open_files = 4096;
  NetworkInterface lo{"lo", "127.0.0.1", -1, true, true, false};
  NetworkInterface eth{"eth0", "10.0.0.1", 25000, true, false, false};
  facts.interfaces = {lo, eth};
  facts.clock = 1000;
  return facts;
}

std::string worst(const std::vector<Finding>& found, Level level) {
  std::string text;
  for (const auto& finding : found)
    if (finding.level == level) text += finding.text + "\n";
  return text;
}

TEST(Doctor, LooksForTheFilesThatAConfigurationNames) {
  const testing_support::TempDir dir;
  const auto there = dir.path().string(), gone = (dir / "weights.safetensors").string();
  const nlohmann::ordered_json config{{"name", "x"},
                                      {"ingest", {{"path", there}, {"source", "folder"}}},
                                      {"gan",
                                       {{"init_generator", gone},
                                        {"init_discriminator", ""},
                                        {"metrics", {{"feature_file", there}}}}}};
  const auto files = named_files(config);
  EXPECT_EQ(files, (NamedFiles{{"ingest.path", there},
                               {"gan.init_generator", gone},
                               {"gan.metrics.feature_file", there}}));
  const auto found = check_inputs(files);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(worst(found, Level::failure),
            "gan.init_generator: " + gone +
                " is not there; check the path, or mount the file system that holds it\n");
  EXPECT_THAT(worst(check_inputs({{"ingest.path", there}}), Level::note), HasSubstr("all 1 files"));
  EXPECT_TRUE(check_inputs({}).empty());
}

TEST(Doctor, LooksForTheFilesOfListsAndCommands) {
  const nlohmann::ordered_json config{
      {"ingest",
       {{"id_key_file", "key"},
        {"knees", {{"boxes", "b.csv"}, {"readings", {{"files", {"v00.csv", "v01.csv"}}}}}}}},
      {"classifier",
       {{"command", {"python3", "-m", "my.module", "f.py", "--rate", "0.5", "sub/weights", "fast"}},
        {"program_files", {"w.bin"}},
        {"positive", {1}}}}};
  EXPECT_EQ(named_files(config), (NamedFiles{{"ingest.id_key_file", "key"},
                                             {"ingest.knees.boxes", "b.csv"},
                                             {"ingest.knees.readings.files", "v00.csv"},
                                             {"ingest.knees.readings.files", "v01.csv"},
                                             {"classifier.command", "f.py"},
                                             {"classifier.command", "sub/weights"},
                                             {"classifier.program_files", "w.bin"}}));
}

TEST(Doctor, ReadsTheKernelsListsOfCores) {
  EXPECT_EQ((std::vector<int>{0, 1, 2, 3, 8}), parse_cores("0-3,8"));
  EXPECT_TRUE(parse_cores("").empty());
}

TEST(Doctor, AFitMachineGivesNotesOnly) {
  const auto found = check_machine(rank_on("n1"));
  EXPECT_EQ("", worst(found, Level::warning) + worst(found, Level::failure));
  EXPECT_THAT(worst(found, Level::note), HasSubstr("64000 MB"));
}

TEST(Doctor, ThePoorMachineIsTold) {
  auto facts = rank_on("n1");
  facts.memory_limit_mb = 1000;
  facts.open_files = 256;
  facts.infiniband = {"mlx5_0"};
  facts.locked_memory_kb = 64;
  const auto text = worst(check_machine(facts), Level::warning);
  EXPECT_THAT(text, HasSubstr("1000 MB"));
  EXPECT_THAT(text, HasSubstr("ulimit -n"));
  EXPECT_THAT(text, HasSubstr("ulimit -l"));
}

TEST(Doctor, BindingIsJudgedByCoresAndNumaNodes) {
  EXPECT_EQ("",
            worst(check_binding({rank_on("n1", {0, 1}), rank_on("n1", {4, 5})}), Level::warning));
  EXPECT_THAT(worst(check_binding({rank_on("n1", {0}, 4)}), Level::warning),
              HasSubstr("4 threads on 1 core(s)"));
  EXPECT_THAT(worst(check_binding({rank_on("n1", {0, 4}), rank_on("n2", {0, 1})}), Level::warning),
              HasSubstr("rank 0 on n1 may run on 2 NUMA nodes"));
  EXPECT_THAT(worst(check_binding({rank_on("n1"), rank_on("n1")}), Level::warning),
              HasSubstr("4 threads of 2 ranks share 2 core(s)"));
}

TEST(Doctor, GpusAreMapped) {
  auto first = rank_on("n1"), second = rank_on("n1");
  first.gpus = second.gpus = 2;
  first.gpu = "0000:01:00.0";
  second.gpu = "0000:02:00.0";
  EXPECT_EQ("", worst(check_gpu_map({first, second}), Level::warning));
  EXPECT_THAT(worst(check_gpu_map({first, second}), Level::note), HasSubstr("rank 1 -> 0000:02"));
  EXPECT_THAT(worst(check_gpu_map({first}), Level::warning), HasSubstr("1 GPU(s) will idle"));
  second.gpu = first.gpu;
  EXPECT_THAT(worst(check_gpu_map({first, second}), Level::warning), HasSubstr("ranks 0 and 1"));
  second.gpu = "0000:02:00.0";
  first.gpus = second.gpus = 1;
  EXPECT_THAT(worst(check_gpu_map({first, second}), Level::warning), HasSubstr("gpus_per_node"));
}

TEST(Doctor, TheNetworkThatIsAskedForMustBeThere) {
  auto here = rank_on("n1"), there = rank_on("n2");
  EXPECT_EQ("", worst(check_network({here, there}), Level::failure));
  here.environment["NCCL_SOCKET_IFNAME"] = "ib0";
  EXPECT_THAT(worst(check_network({here, there}), Level::failure),
              HasSubstr("n1: NCCL_SOCKET_IFNAME=ib0"));
  here.environment = {{"NCCL_SOCKET_IFNAME", "=eth0"}, {"NCCL_IB_HCA", "mlx5"}};
  EXPECT_THAT(worst(check_network({here, there}), Level::failure), HasSubstr("NCCL_IB_HCA"));
  here.infiniband = {"mlx5_0"};
  EXPECT_EQ("", worst(check_network({here, there}), Level::failure));
  there.interfaces.pop_back();
  EXPECT_THAT(worst(check_network({here, there}), Level::failure), HasSubstr("n2: no interface"));
  // One host needs no way to others.
  EXPECT_EQ("", worst(check_network({there}), Level::failure));
}

TEST(Doctor, SeveralInterfacesWithoutAChoiceAreAWarning) {
  auto here = rank_on("n1");
  here.interfaces.push_back({"eth1", "10.1.0.1", 1000, true, false, false});
  EXPECT_THAT(worst(check_network({here, rank_on("n2")}), Level::warning),
              HasSubstr("2 interfaces"));
  here.interfaces.back().made_up = true;
  EXPECT_EQ("", worst(check_network({here, rank_on("n2")}), Level::warning));
}

TEST(Doctor, ClocksAndTimeLeft) {
  auto late = rank_on("n2");
  late.clock = 1060;
  EXPECT_THAT(worst(check_clocks({rank_on("n1"), late}, 0.1), Level::warning),
              HasSubstr("60 s apart"));
  EXPECT_TRUE(check_clocks({rank_on("n1"), rank_on("n2")}, 0.1).empty());
  EXPECT_THAT(worst(check_time_left(1100, 1000), Level::warning), HasSubstr("2 min left"));
  EXPECT_THAT(worst(check_time_left(10000, 1000), Level::note), HasSubstr("150 min left"));
}

TEST(Doctor, InAContainerWithoutSlurmsCommandsTheTimeLeftIsNoFailure) {
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  ::setenv("SLURM_JOB_ID", "7", 1);
  ::unsetenv("SLURM_JOB_END_TIME");
  const auto& checks = doctor_checks_in_job();
  const auto check = std::ranges::find(checks, std::string("time left"), &DoctorCheck::name);
  ASSERT_NE(checks.end(), check);
  SelfCommunicator world;
  const DoctorSettings settings;
  DoctorScene scene(settings, world);
  const auto found = check->look(scene);
  ::setenv("PATH", path.c_str(), 1);
  ::unsetenv("SLURM_JOB_ID");
  EXPECT_EQ("", worst(found, Level::warning) + worst(found, Level::failure));
  EXPECT_THAT(worst(found, Level::note), HasSubstr("not known"));
}

TEST(Doctor, TheSitesMpiPluginMustBeKnown) {
  const std::string listed = "MPI plugin types are...\n\tnone\n\tpmix\n\tpmi2\n";
  EXPECT_EQ("", worst(check_mpi_plugin(listed, "pmix"), Level::failure));
  EXPECT_THAT(worst(check_mpi_plugin(listed, "pmix_v3"), Level::failure), HasSubstr("pmix pmi2"));
  EXPECT_THAT(worst(check_mpi_plugin("none", "pmix"), Level::failure), HasSubstr("none that MPI"));
}

TEST(Doctor, AFileSystemIsTriedAndLeftAsItWas) {
  const testing_support::TempDir dir;
  const auto facts = probe_file_system(dir.path());
  EXPECT_EQ("", facts.hdf5);
  EXPECT_EQ("", facts.lock);
  EXPECT_GT(facts.free_mb, 0);
  EXPECT_FALSE(facts.type.empty());
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  EXPECT_THROW(probe_file_system(dir.path() / "missing"), Error);
}

}  // namespace
}  // namespace stylescope
