#include "slurm/site_profile.hpp"

#include "io/base/error.hpp"

namespace stylescope {

void SiteProfile::describe(Fields& f) {
  f.field("name", name, "of the cluster");
  f.field("modules", modules, "to load, in this order");
  f.field("environment", environment, "NAME=VALUE: NCCL_..., UCX_..., OMPI_MCA_...");
  f.field("setup", setup, "lines of bash, before all else");
  f.choice("container", container, {"none", "apptainer", "pyxis"},
           "what the program runs in; the batch script and the launcher stay outside");
  f.field("image", image, "of the container: a .sif or .sqsh file, or what the runtime fetches");
  f.field("mounts", mounts,
          "HOST or HOST:INSIDE; the working and the run directory are mounted anyway");
  f.field("container_options", container_options, "further options of apptainer exec, or of srun");
  f.field("program", program, "'': the executable that submits; in a container: stylescope");
  f.choice("launcher", launcher, {"srun", "mpirun"}, "what starts the ranks");
  f.field("mpi", mpi, "srun --mpi=: pmix, pmix_v4, pmi2 (srun --mpi=list shows what there is)");
  f.field("cpu_bind", cpu_bind, "srun --cpu-bind=; '': the cluster's own");
  f.field("gpu_bind", gpu_bind,
          "srun --gpu-bind=; '': not asked for, ranks see all GPUs of a node");
  f.field("launcher_options", launcher_options, "further options of the launcher");
  f.choice("restart", restart, {"requeue", "follow_up"},
           "how an interrupted stage goes on: scontrol requeue, or jobs submitted ahead");
  f.field("follow_ups", follow_ups, {1, 100}, "how many jobs are submitted ahead (follow_up)");
  f.field("kill_wait", kill_wait, {1, 86400},
          "seconds between SIGTERM and SIGKILL here (scontrol show config: KillWait)");
  f.section("defaults", defaults, "what every job asks for, unless a configuration says otherwise");
}

void SiteProfile::check(const std::string& file) const {
  defaults.check(file + ": defaults");
  if (container != "none" && image.empty())
    throw UsageError(file + ": container is " + container + ", and key 'image' is empty; name one");
  if (container == "pyxis" && launcher == "mpirun")
    throw UsageError(file +
                     ": pyxis is a plugin of srun, and key 'launcher' says mpirun; say "
                     "launcher: srun, or container: apptainer");
  for (const auto& entry : environment)
    if (entry.find('=') == std::string::npos || entry.front() == '=')
      throw UsageError(file + ": key 'environment' holds '" + entry + "'; write NAME=VALUE");
}

}  // namespace stylescope
