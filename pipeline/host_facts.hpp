#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// What a process can see of the machine it runs on. Gathered on every rank, judged on the root
// (doctor_checks.hpp).
namespace stylescope {

struct NetworkInterface {
  std::string name;
  std::string address;  // IPv4
  int64_t speed = -1;   // Mbit/s; -1: not told
  bool up = false, loopback = false;
  bool made_up = false;  // a bridge or a pair of a container runtime: leads to no other host
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(NetworkInterface, name, address, speed, up, loopback, made_up)
};

struct HostFacts {
  std::string host, cpu;
  std::vector<int> cores;                         // that this process may run on
  std::map<std::string, std::vector<int>> nodes;  // NUMA node -> its cores
  int64_t threads = 1;                            // that a rank computes with
  int64_t memory_mb = 0;                          // of the machine
  int64_t memory_limit_mb = 0;                    // of the cgroup; 0: none
  int64_t open_files = 0;
  int64_t locked_memory_kb = -1;  // -1: no limit
  int64_t gpus = 0;
  std::string gpu;  // bus id of this rank's
  std::vector<NetworkInterface> interfaces;
  std::vector<std::string> infiniband;             // devices
  std::map<std::string, std::string> environment;  // the variables that choose a network
  double clock = 0;                                // Unix time
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(HostFacts, host, cpu, cores, nodes, threads, memory_mb,
                                 memory_limit_mb, open_files, locked_memory_kb, gpus, gpu,
                                 interfaces, infiniband, environment, clock)
};

// "0-3,8" -> 0 1 2 3 8, as the kernel writes lists of cores.
std::vector<int> parse_cores(const std::string& list);
HostFacts host_facts(int64_t threads);

}  // namespace stylescope
