#pragma once

#include "distributed/communicator.hpp"
#include "distributed/stop_signal.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace stylescope {

// A stop that was asked for comes at the end of a step. Where the step does not end in time, this
// ends the job with exit code 75: what was checkpointed before is there.
class StopDeadline {
 public:
  // `before_leaving` is told why, on this object's thread; may be empty.
  StopDeadline(const StopSignal& stop, Communicator& world, double seconds,
               std::function<void(const std::string& cause)> before_leaving = {});
  ~StopDeadline();
  StopDeadline(const StopDeadline&) = delete;
  StopDeadline& operator=(const StopDeadline&) = delete;

 private:
  void watch();

  const StopSignal& stop_;
  Communicator& world_;
  double seconds_;
  std::function<void(const std::string&)> before_leaving_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace stylescope
