#pragma once

#include "io/base/fields.hpp"
#include "slurm/resources.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

// What a cluster is like, for all its users: slurm/sites/<name>.yaml.
struct SiteProfile {
  std::string name;
  std::vector<std::string> modules;      // module load, in this order
  std::vector<std::string> environment;  // NAME=VALUE: NCCL's and UCX's variables, OMPI_MCA_...
  std::vector<std::string> setup;        // lines of bash, before all else
  std::string container = "none";        // none | apptainer | pyxis
  std::string image;                     // of the container
  std::vector<std::string> mounts;       // HOST[:INSIDE]
  std::vector<std::string> container_options;
  std::string program;            // "": the executable that submits; inside a container: stylescope
  std::string launcher = "srun";  // srun | mpirun
  std::string mpi = "pmix";       // srun --mpi=: pmix, pmix_v4, pmi2, ...
  std::string cpu_bind = "cores";  // srun --cpu-bind=; "": the site's own
  std::string gpu_bind;            // srun --gpu-bind=; "": none is asked for
  std::vector<std::string> launcher_options;
  std::string restart = "requeue";  // requeue | follow_up
  int64_t follow_ups = 3;           // submitted ahead, where restart is follow_up
  int64_t kill_wait = 30;           // seconds from SIGTERM to SIGKILL on this cluster
  Resources defaults;

  void describe(Fields& f);
  void check(const std::string& file) const;
};

}  // namespace stylescope
