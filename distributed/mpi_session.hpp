#pragma once

#include "distributed/communicator.hpp"
#include "distributed/monitor.hpp"

#include <memory>

namespace stylescope {

// MPI from start to end, and the world of its ranks (one, when started without mpirun or srun),
// with a monitor that ends the job when one of them is lost. Nothing else in the program knows
// mpi.h. Destroy it on every rank; when a rank leaves by an exception instead, call
// world().abort().
class MpiSession {
 public:
  // `voice` says what ends the job, on the rank that speaks for all.
  MpiSession(int* argc, char*** argv, MonitorVoice voice = {});
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  Communicator& world();
  // "Open MPI v4.1.4, ..." for stage.json.
  static std::string library_version();

 private:
  std::unique_ptr<Communicator> world_;
};

}  // namespace stylescope
