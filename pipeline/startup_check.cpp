#include "pipeline/startup_check.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

namespace stylescope {
namespace {

using detail::concatenate;
using Level = Finding::Level;

constexpr int64_t kMegabyte = 1 << 20;
constexpr int64_t kTooLittle = kMegabyte;
constexpr int64_t kLittle = 2048 * kMegabyte;

struct Host {
  std::string name;
  std::vector<size_t> ranks;
  std::set<int> cores;  // of all its ranks together
  int64_t threads = 0;
};

std::vector<Host> hosts_of(const std::vector<RankFacts>& ranks) {
  std::vector<Host> hosts;
  for (size_t r = 0; r < ranks.size(); ++r) {
    auto host = std::ranges::find(hosts, ranks[r].host, &Host::name);
    if (host == hosts.end()) host = hosts.insert(host, Host{ranks[r].host, {}, {}, 0});
    host->ranks.push_back(r);
    host->cores.insert(ranks[r].cores.begin(), ranks[r].cores.end());
    host->threads += ranks[r].threads;
  }
  return hosts;
}

// Ranks that differ from rank 0 in what all must have in common.
void check_same(const std::vector<RankFacts>& ranks, std::string RankFacts::*what,
                const std::string& sentence, const std::string& remedy,
                std::vector<Finding>& found) {
  for (size_t r = 1; r < ranks.size(); ++r)
    if (ranks[r].*what != ranks[0].*what) {
      found.push_back({Level::failure, concatenate("rank ", r, " on ", ranks[r].host, " ", sentence,
                                                   " than rank 0 on ", ranks[0].host, remedy)});
      return;
    }
}

void check_run_dir(const std::vector<RankFacts>& ranks, std::vector<Finding>& found) {
  for (size_t r = 1; r < ranks.size(); ++r)
    if (!ranks[r].sees_run_dir) {
      found.push_back(
          {Level::failure,
           concatenate("rank ", r, " on ", ranks[r].host, " does not see what rank 0 on ",
                       ranks[0].host,
                       " writes into the run directory (it is not on a shared file system, or is "
                       "mounted elsewhere there); choose a run_dir that all hosts share")});
      return;
    }
}

void check_gpus(const std::vector<RankFacts>& ranks, const Host& host,
                std::vector<Finding>& found) {
  std::map<std::string, size_t> taken;
  for (const size_t r : host.ranks) {
    if (ranks[r].gpu.empty()) continue;
    const auto [other, fresh] = taken.emplace(ranks[r].gpu, r);
    if (!fresh)
      found.push_back({Level::warning, concatenate("ranks ", other->second, " and ", r, " on ",
                                                   host.name, " share GPU ", ranks[r].gpu,
                                                   "; start one rank a GPU (srun --gpus-per-node=N "
                                                   "--ntasks-per-node=N)")});
  }
  const auto& first = ranks[host.ranks.front()];
  if (!taken.empty() && first.gpus > static_cast<int64_t>(host.ranks.size()))
    found.push_back({Level::warning,
                     concatenate(host.name, " has ", first.gpus, " GPUs and ", host.ranks.size(),
                                 " rank(s): ", first.gpus - static_cast<int64_t>(host.ranks.size()),
                                 " of them will idle; start one rank a GPU")});
}

void check_threads(const std::vector<RankFacts>& ranks, const Host& host,
                   std::vector<Finding>& found) {
  const auto cores = static_cast<int64_t>(host.cores.size());
  if (cores > 0 && host.threads > cores) {
    found.push_back(
        {Level::warning,
         concatenate(
             host.name, ": ", host.ranks.size(), " rank(s) with ", host.threads,
             " threads together share ", cores,
             " core(s) (oversubscribed: they will wait for one another); start fewer ranks, "
             "lower 'threads', or unbind them (mpirun --bind-to none, srun "
             "--cpus-per-task)")});
    return;
  }
  for (const size_t r : host.ranks)
    if (!ranks[r].cores.empty() && ranks[r].threads > static_cast<int64_t>(ranks[r].cores.size())) {
      found.push_back(
          {Level::warning, concatenate("rank ", r, " on ", host.name, " has ", ranks[r].threads,
                                       " threads and is bound to ", ranks[r].cores.size(),
                                       " core(s); unbind it (mpirun --bind-to none, srun "
                                       "--cpus-per-task=",
                                       ranks[r].threads, ") or lower 'threads'")});
      return;
    }
}

Finding map_of(const std::vector<RankFacts>& ranks, const Host& host) {
  std::string gpus;
  for (const size_t r : host.ranks)
    if (!ranks[r].gpu.empty()) gpus += (gpus.empty() ? ", GPU " : " ") + ranks[r].gpu;
  return {Level::note,
          concatenate(host.name, ": ", host.ranks.size(), " rank(s) from ", host.ranks.front(),
                      ", ", host.threads, " thread(s) on ", host.cores.size(), " core(s)", gpus)};
}

void report(const std::vector<Finding>& found) {
  for (const auto& finding : found) {
    if (finding.level == Level::note) log::info("{}", finding.text);
    if (finding.level == Level::warning) log::warn("{}", finding.text);
  }
  for (const auto& finding : found)
    if (finding.level == Level::failure) throw Error(finding.text);
}

}  // namespace

std::vector<Finding> check_world(int size, const LauncherFacts& launcher) {
  // Under mpirun these variables speak of the step that carries mpirun's own daemons.
  if (launcher.mpirun) return {};
  if (launcher.step_tasks > 1 && size == 1)
    return {{Level::failure,
             concatenate("srun started ", launcher.step_tasks,
                         " tasks, but each of them is a world of one rank (MPI was not told of the "
                         "others); start with srun --mpi=pmix (srun --mpi=list shows what this "
                         "cluster has), or with mpirun inside the allocation")}};
  if (launcher.step_tasks > 1 && size != launcher.step_tasks)
    return {
        {Level::failure, concatenate("srun started ", launcher.step_tasks, " tasks, but MPI found ",
                                     size, " ranks; start with srun --mpi=pmix, or with mpirun")}};
  if (launcher.step_tasks < 0 && launcher.job_tasks > 1 && size == 1)
    return {{Level::warning, concatenate("this allocation has ", launcher.job_tasks,
                                         " tasks and one rank was started; to use all of it, start "
                                         "with srun or mpirun")}};
  return {};
}

std::vector<Finding> check_ranks(const std::vector<RankFacts>& ranks) {
  std::vector<Finding> found;
  check_same(ranks, &RankFacts::program, "runs another program",
             " (their executables differ); install the same build on all hosts", found);
  check_same(ranks, &RankFacts::config, "has another configuration",
             " (not the same file or overrides); let all hosts read the same file", found);
  check_run_dir(ranks, found);
  for (const auto& host : hosts_of(ranks)) {
    if (ranks.size() > 1) found.push_back(map_of(ranks, host));
    check_gpus(ranks, host, found);
    check_threads(ranks, host, found);
  }
  return found;
}

std::vector<Finding> check_disk(const std::string& run_dir, int64_t free_bytes) {
  const auto text = concatenate(run_dir, ": ", free_bytes / kMegabyte, " MB are free");
  if (free_bytes < kTooLittle)
    return {
        {Level::failure, text + " (the disk is full); free some space, or choose another run_dir"}};
  if (free_bytes < kLittle)
    return {{Level::warning, text + "; images, checkpoints and synthetic pairs may need more"}};
  return {};
}

void check_world(const Communicator& world) {
  report(world.is_root() ? check_world(world.size(), launcher_facts()) : std::vector<Finding>());
}

void startup_check(const Launch& at, const std::string& config_yaml,
                   const std::filesystem::path& run_dir) {
  const auto begin = std::chrono::steady_clock::now();
  auto found = check_ranks(gather_facts(at, config_yaml, run_dir));
  on_root(at.world, [&] {
    std::error_code unknown;
    const auto space = std::filesystem::space(run_dir, unknown);
    const auto available = std::min<uintmax_t>(space.available, INT64_MAX);
    if (!unknown)
      for (auto& finding : check_disk(run_dir.string(), static_cast<int64_t>(available)))
        found.push_back(std::move(finding));
    report(found);
    log::debug("start-up check: {:.3f} s",
               std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  });
}

}  // namespace stylescope
