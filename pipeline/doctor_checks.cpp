#include "pipeline/doctor_checks.hpp"

#include "io/base/error.hpp"
#include "io/base/split.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

namespace stylescope {
namespace {

using detail::concatenate;
using Level = Finding::Level;
using Findings = std::vector<Finding>;

// One rank of each host.
std::vector<const HostFacts*> hosts_of(const std::vector<HostFacts>& ranks) {
  std::vector<const HostFacts*> hosts;
  std::set<std::string> seen;
  for (const auto& rank : ranks)
    if (seen.insert(rank.host).second) hosts.push_back(&rank);
  return hosts;
}

std::set<std::string> nodes_under(const HostFacts& rank) {
  std::set<std::string> under;
  for (const auto& [node, cores] : rank.nodes)
    for (const int core : rank.cores)
      if (std::ranges::find(cores, core) != cores.end()) under.insert(node);
  return under;
}

std::string list_of(const NetworkInterface& one) {
  std::string text = one.name + " " + one.address;
  if (one.speed > 0) text += concatenate(" (", static_cast<double>(one.speed) / 1000, " Gbit/s)");
  return text;
}

// Does a pattern of NCCL_SOCKET_IFNAME ("=eth0", "ib", "^docker") or of the others match a name?
bool asks_for(const std::string& pattern, const std::string& name) {
  if (pattern.starts_with('=')) return pattern.substr(1) == name;
  return name.starts_with(pattern);
}

void check_asked(const HostFacts& host, const std::string& variable, bool devices,
                 Findings& found) {
  const auto at = host.environment.find(variable);
  if (at == host.environment.end() || at->second.starts_with('^')) return;
  for (auto wanted : split(at->second, ',')) {
    wanted = wanted.substr(0, wanted.find(':'));
    bool there = false;
    if (devices) {
      for (const auto& name : host.infiniband) there = there || asks_for(wanted, name);
    } else {
      for (const auto& one : host.interfaces)
        there = there ||
                (one.up && (asks_for(wanted, one.name) || wanted.find('/') != std::string::npos));
    }
    if (!there)
      found.push_back(
          {Level::failure,
           concatenate(host.host, ": ", variable, "=", at->second, " asks for '", wanted,
                       "', and there is no such ", devices ? "InfiniBand device" : "interface",
                       " that is up; correct it in the site profile (environment)")});
  }
}

}  // namespace

Findings check_machine(const HostFacts& f) {
  Findings found;
  const int64_t memory =
      f.memory_limit_mb > 0 ? std::min(f.memory_limit_mb, f.memory_mb) : f.memory_mb;
  found.push_back({Level::note, concatenate(f.host, ": ", f.cpu, ", ", f.cores.size(),
                                            " core(s) for this process, ", memory, " MB of memory",
                                            f.memory_limit_mb > 0 ? " (limit of the job)" : "",
                                            ", ", f.gpus, " GPU(s)")});
  if (memory < 4096)
    found.push_back({Level::warning, concatenate(f.host, ": ", memory,
                                                 " MB of memory are little; ask for more "
                                                 "(slurm: memory), or use small batches")});
  if (f.open_files < 1024)
    found.push_back(
        {Level::warning, concatenate(f.host, ": ", f.open_files,
                                     " open files at most; raise it (ulimit -n 4096, in "
                                     "the site profile's setup)")});
  if (!f.infiniband.empty() && f.locked_memory_kb >= 0)
    found.push_back({Level::warning,
                     concatenate(f.host, ": only ", f.locked_memory_kb,
                                 " KB of memory may be locked, which InfiniBand needs; raise it "
                                 "(ulimit -l unlimited; PropagateResourceLimitsExcept=MEMLOCK in "
                                 "slurm.conf)")});
  return found;
}

Findings check_binding(const std::vector<HostFacts>& ranks) {
  Findings found;
  for (size_t r = 0; r < ranks.size(); ++r) {
    const auto& rank = ranks[r];
    const auto nodes = nodes_under(rank);
    const auto cores = static_cast<int64_t>(rank.cores.size());
    if (rank.threads > cores && cores > 0)
      found.push_back(
          {Level::warning,
           concatenate("rank ", r, " on ", rank.host, ": ", rank.threads, " threads on ", cores,
                       " core(s); give it cores (slurm: cpus_per_task: ", rank.threads,
                       ") or lower 'threads'")});
    else if (nodes.size() > 1 && rank.nodes.size() > 1 && ranks.size() > 1)
      found.push_back(
          {Level::warning,
           concatenate("rank ", r, " on ", rank.host, " may run on ", nodes.size(),
                       " NUMA nodes; bind it to one (cpu_bind: cores in the site profile, "
                       "or mpirun --map-by numa)")});
  }
  for (const auto* host : hosts_of(ranks)) {
    std::set<int> cores;
    int64_t count = 0, threads = 0;
    for (const auto& rank : ranks) {
      if (rank.host != host->host) continue;
      cores.insert(rank.cores.begin(), rank.cores.end());
      ++count;
      threads += rank.threads;
    }
    found.push_back({Level::note,
                     concatenate(host->host, ": ", count, " rank(s), ", threads, " thread(s) on ",
                                 cores.size(), " core(s), ", host->nodes.size(), " NUMA node(s)")});
    if (threads > static_cast<int64_t>(cores.size()))
      found.push_back({Level::warning, concatenate(host->host, ": ", threads, " threads of ", count,
                                                   " ranks share ", cores.size(),
                                                   " core(s); start fewer ranks, or give them more "
                                                   "(slurm: cpus_per_task)")});
  }
  return found;
}

Findings check_gpu_map(const std::vector<HostFacts>& ranks) {
  Findings found;
  for (const auto* host : hosts_of(ranks)) {
    std::map<std::string, size_t> taken;
    std::string map;
    int64_t count = 0;
    for (size_t r = 0; r < ranks.size(); ++r) {
      if (ranks[r].host != host->host) continue;
      ++count;
      if (ranks[r].gpu.empty()) continue;
      map += concatenate(map.empty() ? "" : ", ", "rank ", r, " -> ", ranks[r].gpu);
      const auto [other, fresh] = taken.emplace(ranks[r].gpu, r);
      if (!fresh)
        found.push_back({Level::warning, concatenate("ranks ", other->second, " and ", r, " on ",
                                                     host->host, " share GPU ", ranks[r].gpu,
                                                     "; start one rank a GPU (tasks_per_node = "
                                                     "gpus_per_node)")});
    }
    if (map.empty()) continue;
    found.push_back({Level::note, host->host + ": " + map});
    if (host->gpus == 1 && count > 1 && taken.size() > 1)
      found.push_back(
          {Level::warning, concatenate(host->host,
                                       ": every rank sees its own GPU only (--gpus-per-task "
                                       "or --gpu-bind), so that GPUs cannot reach each other "
                                       "directly; use gpus_per_node")});
    if (static_cast<int64_t>(taken.size()) < host->gpus)
      found.push_back({Level::warning, concatenate(host->host, ": ",
                                                   host->gpus - static_cast<int64_t>(taken.size()),
                                                   " GPU(s) will idle; start one rank a GPU")});
  }
  return found;
}

Findings check_network(const std::vector<HostFacts>& ranks) {
  Findings found;
  const auto hosts = hosts_of(ranks);
  for (const auto* host : hosts) {
    std::string usable, devices;
    for (const auto& one : host->interfaces)
      if (one.up && !one.loopback && !one.made_up)
        usable += (usable.empty() ? "" : ", ") + list_of(one);
    for (const auto& device : host->infiniband) devices += " " + device;
    std::string asked;
    for (const auto& [name, value] : host->environment) asked += " " + name + "=" + value;
    found.push_back(
        {Level::note, host->host + ": interfaces " + (usable.empty() ? "none" : usable) +
                          "; InfiniBand" + (devices.empty() ? " none" : devices) +
                          (asked.empty() ? "; no choice in the environment" : ";" + asked)});
    if (usable.empty() && hosts.size() > 1)
      found.push_back({Level::failure, host->host +
                                           ": no interface but loopback and containers' own "
                                           "is up; the ranks of other hosts cannot be reached"});
    const int64_t several = std::ranges::count_if(
        host->interfaces, [](const auto& one) { return one.up && !one.loopback && !one.made_up; });
    const bool chosen = host->environment.contains("NCCL_SOCKET_IFNAME") ||
                        host->environment.contains("OMPI_MCA_btl_tcp_if_include");
    if (hosts.size() > 1 && several > 1 && !chosen && host->infiniband.empty())
      found.push_back(
          {Level::warning,
           concatenate(host->host, ": ", several,
                       " interfaces are up and nothing says "
                       "which one to use; choose (NCCL_SOCKET_IFNAME and "
                       "OMPI_MCA_btl_tcp_if_include in the site profile's environment)")});
    for (const char* variable :
         {"NCCL_SOCKET_IFNAME", "OMPI_MCA_btl_tcp_if_include", "OMPI_MCA_oob_tcp_if_include"})
      check_asked(*host, variable, false, found);
    check_asked(*host, "NCCL_IB_HCA", true, found);
  }
  return found;
}

Findings check_clocks(const std::vector<HostFacts>& ranks, double seconds) {
  double least = ranks.front().clock, most = least;
  for (const auto& rank : ranks) {
    least = std::min(least, rank.clock);
    most = std::max(most, rank.clock);
  }
  const double apart = most - least;
  if (apart > seconds + 2)
    return {
        {Level::warning, concatenate("the clocks of the hosts are up to ", std::lround(apart),
                                     " s apart; logs will be hard to compare (run NTP on all)")}};
  return {};
}

Findings check_time_left(double end, double now) {
  if (end <= 0) return {};
  const double left = end - now;
  const Finding told{Level::note, concatenate("the job has ", std::lround(left / 60), " min left")};
  if (left > 300) return {told};
  return {{Level::warning, told.text +
                               "; a stage needs time for a checkpoint and to go on: ask for "
                               "more (slurm: time)"}};
}

Findings check_mpi_plugin(const std::string& listed, const std::string& wanted) {
  if (listed.find(wanted) != std::string::npos)
    return {{Level::note, "srun --mpi=" + wanted + ": this cluster has it"}};
  std::string there;
  std::istringstream in(listed);
  for (std::string word; in >> word;)
    if (std::regex_match(word, std::regex("pmix(_v\\d+)?|pmi2|cray_shasta"))) there += " " + word;
  return {{Level::failure, "srun --mpi=" + wanted + ": this cluster does not have it (there " +
                               (there.empty() ? "is none that MPI can use" : "are" + there) +
                               "); change 'mpi' in the site profile, or say launcher: mpirun"}};
}

namespace {

// Words of a command that can hardly be anything but files. "-m a.module" and options are none, and
// a bare first word is looked for in PATH.
bool looks_like_file(const std::vector<std::string>& words, size_t i) {
  const auto& word = words[i];
  const bool path = word.find('/') != std::string::npos;
  if (word.starts_with('-') || word.find("://") != std::string::npos) return false;
  if (i == 0 || path) return path;
  const auto ending = std::filesystem::path(word).extension().string();
  return words[i - 1] != "-m" && ending.size() > 1 &&
         std::isalpha(static_cast<unsigned char>(ending[1])) != 0;
}

// Of a key whose value is a list.
void add_listed(const std::string& key, const nlohmann::ordered_json& list, NamedFiles& files) {
  if (key != "command" && key != "program_files" && key != "files") return;
  if (!std::ranges::all_of(list, [](const auto& one) { return one.is_string(); })) return;
  const auto words = list.get<std::vector<std::string>>();
  for (size_t i = 0; i < words.size(); ++i)
    if (key != "command" || looks_like_file(words, i)) files.emplace_back(key, words[i]);
}

}  // namespace

NamedFiles named_files(const nlohmann::ordered_json& config) {
  static const std::set<std::string> kKeys = {
      "path",         "list",  "file",       "init", "init_generator", "init_discriminator",
      "feature_file", "boxes", "id_key_file"};
  NamedFiles files;
  for (const auto& [key, value] : config.items()) {
    if (value.is_object())
      for (const auto& [below, path] : named_files(value))
        files.emplace_back(key + "." + below, path);
    else if (value.is_array())
      add_listed(key, value, files);
    else if (kKeys.contains(key) && value.is_string() && !value.get<std::string>().empty())
      files.emplace_back(key, value.get<std::string>());
  }
  return files;
}

Findings check_inputs(const NamedFiles& files) {
  if (files.empty()) return {};
  Findings found;
  for (const auto& [key, path] : files) {
    std::error_code error;
    if (!std::filesystem::exists(path, error))
      found.push_back({Level::failure,
                       concatenate(key, ": ", path, " is not there",
                                   error ? " (" + error.message() + ")" : std::string(),
                                   "; check the path, or mount the file system that holds it")});
  }
  if (found.empty())
    found.push_back({Level::note, concatenate("all ", files.size(),
                                              " files and folders that the configuration names are "
                                              "there")});
  return found;
}

}  // namespace stylescope
