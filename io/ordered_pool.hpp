#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace stylescope {

// Makes the results 0..n-1 on `threads` threads; take() gives them to the calling thread in their
// order, so that what is taken does not depend on the number of threads. At most `ahead` results
// wait. No threads: take() makes them itself. The first exception of make ends the work and is
// thrown by take(); the destructor waits for the threads.
template <class Result>
class OrderedPool {
 public:
  OrderedPool(int64_t n, int64_t threads, int64_t ahead, std::function<Result(int64_t)> make)
      : n_(n), ahead_(ahead), make_(std::move(make)) {
    try {
      for (int64_t i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // The system gives no more threads: those that started, or the caller, do the work.
    }
  }
  OrderedPool(const OrderedPool&) = delete;
  OrderedPool& operator=(const OrderedPool&) = delete;
  ~OrderedPool() {
    {
      const std::lock_guard lock(mutex_);
      next_ = n_;
    }
    changed_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  // The result of the next index, in order. Called n times.
  Result take() {
    std::unique_lock lock(mutex_);
    if (workers_.empty()) make_next(lock);
    changed_.wait(lock, [this] { return ready_.contains(taken_) || failure_; });
    if (failure_) std::rethrow_exception(failure_);
    auto node = ready_.extract(taken_++);
    lock.unlock();
    changed_.notify_all();
    return std::move(node.mapped());
  }

 private:
  void make_next(std::unique_lock<std::mutex>& lock) {
    const int64_t index = next_++;
    lock.unlock();
    try {
      Result result = make_(index);
      lock.lock();
      ready_.emplace(index, std::move(result));
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      if (!failure_) failure_ = std::current_exception();
      next_ = n_;
    }
    changed_.notify_all();
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return next_ >= n_ || next_ < taken_ + ahead_; });
      if (next_ >= n_) return;
      make_next(lock);
    }
  }

  const int64_t n_, ahead_;
  const std::function<Result(int64_t)> make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t next_ = 0;   // the next index to make
  int64_t taken_ = 0;  // how many were taken
  std::map<int64_t, Result> ready_;
  std::exception_ptr failure_;
  std::vector<std::thread> workers_;
};

}  // namespace stylescope
