#pragma once

#include "io/base/error.hpp"
#include "io/base/quiet_thread.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include <torch/types.h>

namespace stylescope {

// Makes what the coming training steps will show while the present one computes: one thread calls
// make(first), make(first + 1), ... make(end - 1), at most kAhead of them before they are taken.
// The steps take them in this order, so the results do not depend on who was faster. `make` runs on
// that thread alone and shares nothing with others that changes; it uses neither the communicator
// nor, but where the other threads do not, HDF5.
template <class T>
class Prefetcher {
 public:
  static constexpr size_t kAhead = 2;
  using Make = std::function<T(int64_t step)>;

  // threaded: false makes each when it is taken, on the thread that takes it.
  Prefetcher(int64_t first, int64_t end, Make make, bool threaded = true)
      : make_(std::move(make)), next_(first) {
    if (threaded) worker_ = quiet_thread([this, first, end] { work(first, end); });
  }
  // Waits for the one that is being made.
  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (worker_.joinable()) worker_.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // That of the step after the one taken last (at first: `first`). Rethrows what `make` threw for
  // it.
  T take(int64_t step) {
    SS_CHECK(step == next_, "step ", step, " was asked for, ", next_, " is next");
    const auto begin = std::chrono::steady_clock::now();
    T made = worker_.joinable() ? take_made() : make_(step);
    ++next_;
    waited_ += std::chrono::steady_clock::now() - begin;
    return made;
  }

  // What the steps have waited in take(), in all: with a loader that keeps up, next to nothing.
  double wait_seconds() const { return waited_.count(); }

 private:
  T take_made() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !made_.empty() || failure_; });
    if (made_.empty()) std::rethrow_exception(failure_);
    T first = std::move(made_.front());
    made_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return first;
  }

  void work(int64_t step, int64_t end) try {
    for (; step < end; ++step) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || made_.size() < kAhead; });
        if (stopping_) return;
      }
      T made = make_(step);
      const std::lock_guard lock(mutex_);
      made_.push_back(std::move(made));
      changed_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    failure_ = std::make_exception_ptr(
        std::logic_error("this is a bug of stylescope: a step after the last one was asked for"));
    changed_.notify_all();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    changed_.notify_all();
  }

  Make make_;
  int64_t next_;
  std::chrono::duration<double> waited_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> made_;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::thread worker_;  // last: it uses the others
};

// `host` (CPU, contiguous) in memory that a GPU copies from while the host goes on (to_device);
// itself for other devices. Of any thread.
torch::Tensor staged_for(torch::Device device, const torch::Tensor& host);
// On `device`; the host does not wait for a copy from staged memory.
torch::Tensor to_device(const torch::Tensor& staged, torch::Device device);

}  // namespace stylescope
