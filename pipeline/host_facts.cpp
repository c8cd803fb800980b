#include "pipeline/host_facts.hpp"

#include "distributed/gpu_functions.hpp"
#include "distributed/host.hpp"
#include "io/stage_state.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/provenance.hpp"
#include "pipeline/rank_facts.hpp"

#include <arpa/inet.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sstream>
#include <sys/resource.h>
#include <unistd.h>

#include <torch/torch.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::map<std::string, std::vector<int>> numa_nodes() {
  std::map<std::string, std::vector<int>> nodes;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/sys/devices/system/node", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("node") && fs::exists(entry.path() / "cpulist", ignored))
      nodes[name] = parse_cores(first_line(entry.path() / "cpulist"));
  }
  return nodes;
}

// Of this process's cgroup, version 2 or 1; 0: none.
int64_t memory_limit_mb() {
  constexpr int64_t kNone = int64_t{1} << 50;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    std::string file;
    if (line.starts_with("0::")) file = "/sys/fs/cgroup" + line.substr(3) + "/memory.max";
    if (const auto at = line.find(":memory:"); at != std::string::npos)
      file = "/sys/fs/cgroup/memory" + line.substr(at + 8) + "/memory.limit_in_bytes";
    const int64_t bytes = std::strtoll(first_line(file).c_str(), nullptr, 10);
    if (bytes > 0 && bytes < kNone) return bytes >> 20;
  }
  return 0;
}

bool leads_nowhere(const std::string& name) {
  for (const char* prefix : {"docker", "br-", "virbr", "veth", "cni", "podman", "lxc"})
    if (name.starts_with(prefix)) return true;
  return false;
}

std::vector<NetworkInterface> interfaces() {
  std::vector<NetworkInterface> found;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return found;
  for (const ifaddrs* at = all; at; at = at->ifa_next) {
    if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN] = "";
    const auto* address = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
    ::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    NetworkInterface one;
    one.name = at->ifa_name;
    one.address = text;
    one.up = (at->ifa_flags & IFF_UP) && (at->ifa_flags & IFF_RUNNING);
    one.loopback = at->ifa_flags & IFF_LOOPBACK;
    one.made_up = leads_nowhere(one.name);
    const std::string speed = first_line(fs::path("/sys/class/net") / one.name / "speed");
    one.speed = speed.empty() ? -1 : std::strtoll(speed.c_str(), nullptr, 10);
    found.push_back(std::move(one));
  }
  ::freeifaddrs(all);
  return found;
}

std::vector<std::string> infiniband() {
  std::vector<std::string> devices;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/sys/class/infiniband", ignored))
    devices.push_back(entry.path().filename().string());
  return devices;
}

std::map<std::string, std::string> network_environment() {
  std::map<std::string, std::string> found;
  for (const char* name : {"NCCL_SOCKET_IFNAME", "NCCL_IB_HCA", "NCCL_IB_DISABLE",
                           "UCX_NET_DEVICES", "UCX_TLS", "OMPI_MCA_btl_tcp_if_include",
                           "OMPI_MCA_oob_tcp_if_include", "OMPI_MCA_btl", "OMPI_MCA_pml"})
    if (const char* value = std::getenv(name)) found[name] = value;
  return found;
}

}  // namespace

std::vector<int> parse_cores(const std::string& list) {
  std::vector<int> cores;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) {
    int first = 0, last = 0;
    const int read = std::sscanf(part.c_str(), "%d-%d", &first, &last);
    if (read < 1) continue;
    for (int core = first; core <= (read == 2 ? last : first); ++core) cores.push_back(core);
  }
  return cores;
}

HostFacts host_facts(int64_t threads) {
  HostFacts facts;
  facts.host = host_name();
  facts.cpu = cpu_type();
  facts.cores = allowed_cores();
  facts.nodes = numa_nodes();
  facts.threads = threads;
  facts.memory_mb =
      (static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE)) >> 20;
  facts.memory_limit_mb = memory_limit_mb();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    facts.open_files = static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, INT64_MAX));
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    facts.locked_memory_kb = static_cast<int64_t>(limit.rlim_cur >> 10);
  if (torch::cuda::is_available()) {
    facts.gpus = static_cast<int64_t>(torch::cuda::device_count());
    facts.gpu = gpu_bus_id(static_cast<int>(local_rank() % std::max<int64_t>(1, facts.gpus)));
  }
  facts.interfaces = interfaces();
  facts.infiniband = infiniband();
  facts.environment = network_environment();
  facts.clock = unix_time();
  return facts;
}

}  // namespace stylescope
