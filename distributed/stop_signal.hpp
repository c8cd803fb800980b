#pragma once

#include "distributed/communicator.hpp"

// SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 ask for a stop: the handler sets a flag, nothing else; the
// ranks agree on it at the end of a step, write a checkpoint and leave with exit code 75.
namespace stylescope {

class StopSignal {
 public:
  // Installs the handlers; the destructor puts the earlier ones back. One at a time. Deaf: installs
  // none, and signals end the process as ever; for work that has nothing to save.
  enum class Hearing { listens, deaf };
  explicit StopSignal(Hearing hearing = Hearing::listens);
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // Has this process been asked to stop?
  bool requested() const;
  // Has any rank? Collective.
  bool agreed(Communicator& world) const;

 private:
  bool listens_;
};

}  // namespace stylescope
