#pragma once

#include "distributed/communicator.hpp"
#include "distributed/stop_signal.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace stylescope {

// A stop that was asked for comes at the end of a step. Where the step does not end in time, this
// ends the job with exit code 75: what was checkpointed before is there.
class StopDeadline {
 public:
  StopDeadline(const StopSignal& stop, Communicator& world, double seconds);
  ~StopDeadline();
  StopDeadline(const StopDeadline&) = delete;
  StopDeadline& operator=(const StopDeadline&) = delete;

 private:
  void watch();

  const StopSignal& stop_;
  Communicator& world_;
  double seconds_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace stylescope
