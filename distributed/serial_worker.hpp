#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace stylescope {

// A thread that does what it is given, one after another, in order. It starts with the first job
// and takes no signals. Jobs do not throw.
class SerialWorker {
 public:
  SerialWorker() = default;
  ~SerialWorker();  // finishes all jobs first
  SerialWorker(const SerialWorker&) = delete;
  SerialWorker& operator=(const SerialWorker&) = delete;

  void post(std::function<void()> job);
  // Returns when nothing is left to do.
  void drain();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool busy_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace stylescope
