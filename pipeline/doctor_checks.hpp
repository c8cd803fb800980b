#pragma once

#include "pipeline/host_facts.hpp"
#include "pipeline/startup_check.hpp"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

// What the doctor makes of what it found. Pure: facts to findings; whatever is not fine says what
// to do.
namespace stylescope {

std::vector<Finding> check_machine(const HostFacts& facts);
// Cores and NUMA nodes of each rank: threads beyond its cores, cores of several nodes, ranks of a
// host on the same cores.
std::vector<Finding> check_binding(const std::vector<HostFacts>& ranks);
std::vector<Finding> check_gpu_map(const std::vector<HostFacts>& ranks);
// The interfaces that MPI and NCCL will use, and whether what the environment asks for is there.
std::vector<Finding> check_network(const std::vector<HostFacts>& ranks);
// Clocks of the hosts, read at the same time but for `seconds`.
std::vector<Finding> check_clocks(const std::vector<HostFacts>& ranks, double seconds);
// `end`: Unix time at which the job ends (0: not told); `now`.
std::vector<Finding> check_time_left(double end, double now);
// What `srun --mpi=list` printed, against the plugin that the site asks for.
std::vector<Finding> check_mpi_plugin(const std::string& listed, const std::string& wanted);

// Input files and folders that a resolved configuration names: key ("ingest.path") and path.
using NamedFiles = std::vector<std::pair<std::string, std::string>>;
NamedFiles named_files(const nlohmann::ordered_json& config);
// Are they there?
std::vector<Finding> check_inputs(const NamedFiles& files);

}  // namespace stylescope
