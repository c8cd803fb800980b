#include "pipeline/doctor.hpp"

#include "io/base/error.hpp"
#include "io/file_system_probe.hpp"
#include "io/stage_state.hpp"
#include "pipeline/comm_timing.hpp"
#include "pipeline/doctor_checks.hpp"
#include "pipeline/provenance.hpp"
#include "pipeline/rank_facts.hpp"
#include "slurm/cluster.hpp"

#include <cmath>
#include <cstdlib>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using detail::concatenate;
using Level = Finding::Level;
using Findings = std::vector<Finding>;
constexpr auto kPatience = std::chrono::seconds(8);

Findings look_at_program(DoctorScene&) {
  std::string libraries;
  const auto versions = library_versions();
  for (const auto& [name, version] : versions.items())
    libraries += concatenate(libraries.empty() ? "" : ", ", name, " ",
                             version.is_string() ? version.get<std::string>() : version.dump());
  Findings found{{Level::note, "stylescope " + program_version() + " (" + program_revision() +
                                   "); " + libraries}};
  if (!torch::cuda::is_available())
    found.push_back({Level::note, "LibTorch finds no GPU here; device: auto computes on the CPU"});
  return found;
}

Findings look_at_machine(DoctorScene& scene) {
  const DoctorSettings& settings = scene.settings;
  return check_machine(host_facts(threads_for_rank(settings.threads)));
}

// Of this user on that file system, as the quota program tells it.
Finding quota_of(const fs::path& folder) {
  const auto told = capture({"quota", "-w", "-p", "-f", folder.string()}, kPatience);
  if (told.code == 0 && !told.out.empty()) return {Level::note, "quota: " + told.out};
  const auto lustre =
      capture({"lfs", "quota", "-h", "-u", std::to_string(::getuid()), folder.string()}, kPatience);
  if (lustre.code == 0) return {Level::note, "quota: " + lustre.out};
  return {Level::note,
          "quota: this system does not tell it (no quota or lfs program answers); ask "
          "your cluster how much you may store"};
}

Findings look_at_files(DoctorScene& scene) {
  const DoctorSettings& settings = scene.settings;
  const std::string where = fs::absolute(settings.folder).lexically_normal().string();
  const auto facts = probe_file_system(settings.folder);
  Findings found{
      {Level::note, concatenate(where, ": ", facts.type, ", ", facts.free_mb, " MB free, writes ",
                                std::lround(facts.write_mb_per_second), " MB/s with fsync")}};
  for (auto& finding : check_disk(where, facts.free_mb << 20)) found.push_back(finding);
  if (facts.free_files >= 0 && facts.free_files < 10000)
    found.push_back(
        {Level::warning, concatenate(where, ": only ", facts.free_files,
                                     " more files may be made there; free some, or choose "
                                     "another run_dir")});
  if (facts.hdf5.empty())
    found.push_back({Level::note, where + ": HDF5 writes, and reads what is open elsewhere"});
  else
    found.push_back({Level::failure, "HDF5: " + facts.hdf5});
  if (!facts.lock.empty())
    found.push_back(
        {Level::warning,
         where + ": flock does not work (" + facts.lock +
             "), so that two runs in one directory cannot be told from one another; mount "
             "it with flock (Lustre: -o flock), or choose another run_dir. Other "
             "programs that read the HDF5 files need HDF5_USE_FILE_LOCKING=FALSE"});
  found.push_back(quota_of(settings.folder));
  return found;
}

Findings look_at_slurm(DoctorScene& scene) {
  const DoctorSettings& settings = scene.settings;
  if (const auto why = Slurm().unreachable(); !why.empty())
    return {{Level::note, "no Slurm here (" + why + "); run and mpirun work without it"}};
  Findings found{{Level::note, "Slurm answers (sbatch, squeue, scontrol)"}};
  if (settings.mpi.empty()) return found;
  const auto plugins = capture({"srun", "--mpi=list"}, kPatience);
  for (auto& finding : check_mpi_plugin(plugins.out + plugins.err, settings.mpi))
    found.push_back(finding);
  return found;
}

// --- with all ranks of an allocation

Findings look_at_ranks(DoctorScene& scene) {
  Communicator& world = scene.world;
  Findings found = check_world(world.size(), launcher_facts());
  if (found.empty())
    found.push_back({Level::note, concatenate(world.size(), " rank(s), as many as were started")});
  return found;
}

Findings look_at_binding(DoctorScene& scene) { return check_binding(scene.ranks()); }

Findings look_at_gpus(DoctorScene& scene) { return check_gpu_map(scene.ranks()); }

Findings look_at_network(DoctorScene& scene) { return check_network(scene.ranks()); }

Findings look_at_clocks(DoctorScene& scene) {
  const auto& ranks = scene.ranks();
  return check_clocks(ranks, scene.gathering_seconds());
}

// Every rank knows what the sum must be; time_collective checks each value on each rank.
Findings look_at_all_reduce(DoctorScene& scene) {
  Communicator& world = scene.world;
  Findings found;
  if (world.size() == 1) return {{Level::note, "one rank: nothing to exchange"}};
  std::string figures;
  int64_t wrong = 0;
  for (const auto& [dtype, count] : std::initializer_list<std::pair<torch::Dtype, int64_t>>{
           {torch::kFloat64, 1}, {torch::kFloat32, 16384}, {torch::kFloat32, 1 << 20}}) {
    const CommCase test{Collective::Kind::all_reduce, dtype, torch::kCPU, true, count};
    const auto timing = time_collective(world, test, 0.3, false);
    wrong += timing.wrong;
    const double bytes = bytes_of(test, world.size());
    const double busbw = bytes / timing.seconds * 2 * (world.size() - 1) / world.size() / 1e9;
    figures += concatenate(figures.empty() ? "" : "; ", bytes, " B in ",
                           std::lround(timing.seconds * 1e7) / 10.0, " us (busbw ",
                           std::lround(busbw * 100) / 100.0, " GB/s)");
  }
  if (wrong > 0)
    return {
        {Level::failure, concatenate("all_reduce gave ", wrong, " wrong values (", figures,
                                     "); a node or the network corrupts data: tell your cluster's "
                                     "engineers the node list of this job")}};
  return {{Level::note, "all_reduce over all ranks is right: " + figures}};
}

Findings look_at_shared_files(DoctorScene& scene) {
  const DoctorSettings& settings = scene.settings;
  Communicator& world = scene.world;
  const std::string name = world.broadcast(
      (fs::absolute(settings.folder) / (".doctor-shared-" + std::to_string(::getpid()) + ".h5"))
          .string(),
      0);
  constexpr int64_t kValue = 4711;
  std::string problem;
  try {
    if (world.is_root()) write_probe(name, kValue);
  } catch (const Error& error) {
    problem = error.what();
  }
  world.barrier();
  for (int tries = 0; tries < 40 && problem.empty(); ++tries) {
    try {
      problem = read_probe(name) == kValue ? "" : "another value than was written";
    } catch (const Error& error) {
      problem = error.what();
    }
    if (problem.empty()) break;
    ::usleep(100'000);  // attribute caches of network file systems
    if (tries < 39) problem.clear();
  }
  const auto all = world.all_gather(problem);
  std::error_code ignored;
  if (world.is_root()) fs::remove(name, ignored);
  for (size_t r = 0; r < all.size(); ++r)
    if (!all[r].empty())
      return {{Level::failure, concatenate("rank ", r, " does not see what rank 0 writes (", all[r],
                                           "); choose a run_dir on a file system that all hosts "
                                           "share")}};
  return {{Level::note, "all ranks read rank 0's HDF5 file"}};
}

Findings look_at_time_left(DoctorScene&) {
  const char* job = std::getenv("SLURM_JOB_ID");
  if (!job) return {{Level::note, "this is no Slurm job"}};
  if (const char* end = std::getenv("SLURM_JOB_END_TIME"))
    return check_time_left(std::strtod(end, nullptr), unix_time());
  const Slurm slurm;
  // A container seldom has Slurm's commands.
  if (const auto why = slurm.unreachable(); !why.empty())
    return {{Level::note, "how long this job may last is not known (" + why +
                              "); the ranks do not need Slurm's commands"}};
  for (const auto& queued : slurm.queue({std::strtoll(job, nullptr, 10)}))
    if (queued.left >= 0)
      return check_time_left(unix_time() + static_cast<double>(queued.left), unix_time());
  return {{Level::note, "the job has no time limit that Slurm tells"}};
}

Findings look_at_inputs(DoctorScene& scene) { return check_inputs(scene.settings.files); }

}  // namespace

const std::vector<HostFacts>& DoctorScene::ranks() {
  if (!ranks_.empty()) return ranks_;
  world.barrier();
  const double begin = unix_time();
  const auto mine = host_facts(threads_for_rank(settings.threads));
  for (const auto& text : world.all_gather(nlohmann::json(mine).dump()))
    ranks_.push_back(nlohmann::json::parse(text).get<HostFacts>());
  gathering_seconds_ = unix_time() - begin;
  return ranks_;
}

const std::vector<DoctorCheck>& doctor_checks() {
  static const std::vector<DoctorCheck> table{{"program", false, look_at_program},
                                              {"machine", false, look_at_machine},
                                              {"files", false, look_at_files},
                                              {"inputs", false, look_at_inputs},
                                              {"slurm", false, look_at_slurm}};
  return table;
}

const std::vector<DoctorCheck>& doctor_checks_in_job() {
  static const std::vector<DoctorCheck> table{{"ranks", true, look_at_ranks},
                                              {"binding", true, look_at_binding},
                                              {"gpus", true, look_at_gpus},
                                              {"network", true, look_at_network},
                                              {"clocks", true, look_at_clocks},
                                              {"all_reduce", true, look_at_all_reduce},
                                              {"shared files", true, look_at_shared_files},
                                              {"time left", false, look_at_time_left}};
  return table;
}

}  // namespace stylescope
