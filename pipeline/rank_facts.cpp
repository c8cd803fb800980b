#include "pipeline/rank_facts.hpp"

#include "distributed/gpu_functions.hpp"
#include "distributed/host.hpp"
#include "io/atomic_file.hpp"
#include "io/sha256.hpp"

#include <chrono>
#include <cstdlib>
#include <sched.h>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// How long another host may need to see a new file (attribute caches of network file systems).
constexpr auto kPatience = std::chrono::seconds(4);

int64_t number_from(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::strtoll(text, nullptr, 10) : -1;
}

bool appears(const fs::path& file) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  std::error_code ignored;
  while (!fs::exists(file, ignored)) {
    if (std::chrono::steady_clock::now() > until) return false;
    // Reading the folder makes a network file system ask its server anew.
    for (fs::directory_iterator at(file.parent_path(), ignored), end; !ignored && at != end;
         at.increment(ignored)) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

bool sees_what_root_writes(Communicator& world, const fs::path& run_dir) {
  if (world.size() == 1) return true;
  const auto mine = run_dir / (".shared-" + host_name() + "-" + std::to_string(::getpid()));
  const fs::path file = world.broadcast(mine.string(), 0);
  on_root(world, [&] { publish_text(file, ""); });
  const bool seen = appears(file);
  world.barrier();
  std::error_code ignored;
  if (world.is_root()) fs::remove(file, ignored);
  return seen;
}

}  // namespace

std::vector<int> allowed_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

LauncherFacts launcher_facts() {
  return {std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr, number_from("SLURM_STEP_NUM_TASKS"),
          number_from("SLURM_NTASKS")};
}

std::vector<RankFacts> gather_facts(const Launch& at, const std::string& config_yaml,
                                    const fs::path& run_dir) {
  RankFacts mine;
  mine.host = host_name();
  mine.cores = allowed_cores();
  mine.threads = at.threads;
  mine.gpu = at.device.is_cuda() ? gpu_bus_id(at.device.index()) : "";
  mine.gpus = at.device.is_cuda() ? static_cast<int64_t>(torch::cuda::device_count()) : 0;
  mine.program = sha256_of_file("/proc/self/exe");
  mine.config = sha256_of(config_yaml);
  mine.sees_run_dir = sees_what_root_writes(at.world, run_dir);
  std::vector<RankFacts> all;
  for (const auto& text : at.world.all_gather(nlohmann::json(mine).dump()))
    all.push_back(nlohmann::json::parse(text).get<RankFacts>());
  return all;
}

}  // namespace stylescope
