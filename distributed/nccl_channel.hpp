#pragma once

#include "distributed/communicator.hpp"
#include "distributed/gpu_functions.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

// An NCCL communicator, the stream that its collectives run on, and a thread that watches over
// them: a collective that stays unfinished, or an error that NCCL meets on its own threads, ends
// the job, however long this rank's own thread is stuck in a wait for the GPU.
namespace stylescope {

// Events to use again: making one costs microseconds. From any thread.
class EventPool {
 public:
  explicit EventPool(const GpuFunctions& gpu) : gpu_(gpu) {}
  ~EventPool();
  EventPool(const EventPool&) = delete;
  EventPool& operator=(const EventPool&) = delete;

  GpuFunctions::Event take();  // timed
  void give_back(GpuFunctions::Event event);

 private:
  const GpuFunctions& gpu_;
  std::mutex mutex_;
  std::vector<GpuFunctions::Event> free_;
};

// A collective on the GPU, from when this rank enters it until it is finished there.
class GpuOperation {
 public:
  // `check`: what compares the ranks' calls, under way; none: compared already.
  GpuOperation(std::shared_ptr<EventPool> events, std::string text, std::unique_ptr<Work> check);
  ~GpuOperation();
  GpuOperation(const GpuOperation&) = delete;
  GpuOperation& operator=(const GpuOperation&) = delete;

  const std::string& text() const { return text_; }  // "#17 all_reduce sum Float x 4096"
  Work* check() const { return check_.get(); }
  bool all_entered() const { return !check_ || check_->done(); }

 private:
  friend class NcclChannel;

  std::shared_ptr<EventPool> events_;
  std::string text_;
  std::unique_ptr<Work> check_;
  GpuFunctions::Event begin_, end_;
  bool enqueued_ = false;  // its events are recorded; guarded by the channel's mutex
  std::optional<std::chrono::steady_clock::time_point> since_;  // the watch saw that all are here
};

class NcclChannel {
 public:
  using Clock = std::chrono::steady_clock;
  // Ends the job with a cause; called by the watch. (One that returns or throws leaves the channel
  // failed.)
  using GiveUp = std::function<void(const std::string& cause)>;

  // Collective. Throws Error when NCCL does not get all ranks together within `init_seconds`.
  NcclChannel(const GpuFunctions& gpu, int device, int rank, int size,
              const GpuFunctions::UniqueId& id, double init_seconds, double deadline,
              GiveUp give_up);
  // Waits for what is under way. Collective, unless the channel has failed or an exception is on
  // its way: then the communicator is aborted.
  ~NcclChannel();
  NcclChannel(const NcclChannel&) = delete;
  NcclChannel& operator=(const NcclChannel&) = delete;

  // Puts `call` on the channel's stream, after all that the compute stream has been given until
  // now.
  using Call = std::function<void(GpuFunctions::Comm, GpuFunctions::Stream)>;
  std::shared_ptr<GpuOperation> prepare(std::string text, std::unique_ptr<Work> check);
  void start(const std::shared_ptr<GpuOperation>& operation, const Call& call);
  // What the compute stream gets from now on comes after the operation.
  void order_compute_after(const GpuOperation& operation);
  bool finished(const GpuOperation& operation);
  // Seconds on the GPU; 0 until it is finished.
  double seconds(const GpuOperation& operation);

  // Returns when NCCL has begun all that it was given; throws Error when the channel has failed, or
  // NCCL tells of an error.
  void settle();
  bool failed();
  // Aborts the communicator and throws Error(cause), or the earlier cause.
  [[noreturn]] void fail(const std::string& cause);

  void set_deadline(double seconds);

 private:
  void enqueue(GpuOperation& operation, const Call& call);
  bool settled();
  void settle_within(double seconds, const char* what);
  void watch();
  std::string look();
  void reap();
  bool finished_locked(const GpuOperation& operation);
  std::string note_failure(const std::string& cause);
  void await_abort();
  void abort_communicator();
  bool anything_under_way();
  void part();
  void end();

  const GpuFunctions& gpu_;
  const int device_;
  const GiveUp give_up_;
  std::shared_ptr<EventPool> events_;
  GpuFunctions::Stream stream_ = nullptr;
  GpuFunctions::Event ready_ = nullptr;  // the compute stream has come so far

  // One thread at a time calls NCCL. Taken before mutex_ where both are needed.
  std::mutex comm_mutex_;
  GpuFunctions::Comm comm_ = nullptr;

  std::mutex mutex_;  // for all that follows
  std::condition_variable changed_;
  std::deque<std::shared_ptr<GpuOperation>> under_way_;
  double deadline_;
  std::string failure_;  // empty: none
  bool aborted_ = false, stop_ = false;
  std::thread watch_;
};

}  // namespace stylescope
