#pragma once

#include "io/checkpoint.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace stylescope {

// Writes checkpoints while the work goes on: save() copies, a thread hashes, writes, syncs and
// renames. One at a time. A failure is kept until wait() throws it. For one thread to use.
class CheckpointWriter {
 public:
  // `before` runs on the writer's thread, ahead of every checkpoint: what must be on disk before
  // the checkpoint that covers it is. When it throws, there is no checkpoint.
  explicit CheckpointWriter(CheckpointDirectory directory, std::function<void()> before = {});
  // Waits. A failure that nobody has asked for is logged.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Waits for the save under way, copies the tensors (from any device; the buffers are used again),
  // and returns. Does not throw for what fails here either, and writes nothing while an earlier
  // failure has not been heard.
  // `held`: steps whose checkpoints stay whatever their age.
  void save(int64_t step, const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
            nlohmann::json numbers, std::vector<int64_t> held = {});
  // Has one of the saves that have ended failed?
  bool failed() const { return done_.load(std::memory_order_acquire) && failure_; }
  // The longest time, in seconds, from a call of save() to its checkpoint on disk, of those that
  // are there by now; 0: none is.
  double longest_seconds() const { return longest_.load(std::memory_order_acquire); }
  // Returns when nothing is under way; throws what failed, once.
  void wait();

 private:
  void join();
  void copy(int64_t step, const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
            nlohmann::json numbers);
  void start(std::chrono::steady_clock::time_point asked);

  CheckpointDirectory directory_;
  std::function<void()> before_;
  Checkpoint buffer_;          // the writer's while one is under way
  std::vector<int64_t> held_;  // the same
  std::thread thread_;
  std::atomic<bool> done_ = true;
  std::atomic<double> longest_ = 0;
  std::exception_ptr failure_;  // the writer's until done_
};

}  // namespace stylescope
