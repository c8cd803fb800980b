#include "distributed/nccl_channel.hpp"

#include "io/base/error.hpp"
#include "io/base/quiet_thread.hpp"

#include <algorithm>
#include <exception>

namespace stylescope {
namespace {

using Progress = GpuFunctions::Progress;
using Seconds = std::chrono::duration<double>;

// How long a rank that fails waits for NCCL to let go before it goes without.
constexpr auto kAbortTime = std::chrono::seconds(5);
// How long the ranks may take to part.
constexpr double kPartingSeconds = 10;
constexpr double kLongestLook = 0.1;  // seconds between two looks of the watch

// Sleeps that grow: NCCL mostly is done at once.
class Pauses {
 public:
  void sleep() {
    std::this_thread::sleep_for(pause_);
    pause_ = std::min(pause_ * 2, std::chrono::microseconds(1000));
  }

 private:
  std::chrono::microseconds pause_{5};
};

}  // namespace

EventPool::~EventPool() {
  for (auto* event : free_) {
    try {
      gpu_.event_destroy(event);
    } catch (const std::exception&) {  // a GPU that has failed: nothing to keep
    }
  }
}

GpuFunctions::Event EventPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      auto* event = free_.back();
      free_.pop_back();
      return event;
    }
  }
  return gpu_.event_create(true);
}

void EventPool::give_back(GpuFunctions::Event event) {
  const std::lock_guard lock(mutex_);
  free_.push_back(event);
}

GpuOperation::GpuOperation(std::shared_ptr<EventPool> events, std::string text,
                           std::unique_ptr<Work> check)
    : events_(std::move(events)),
      text_(std::move(text)),
      check_(std::move(check)),
      begin_(events_->take()),
      end_(events_->take()) {}

GpuOperation::~GpuOperation() {
  events_->give_back(begin_);
  events_->give_back(end_);
  // Left behind by a failure: a rank that has given up never enters, and nobody may wait for it.
  if (check_ && !check_->done()) static_cast<void>(check_.release());
}

NcclChannel::NcclChannel(const GpuFunctions& gpu, int device, int rank, int size,
                         const GpuFunctions::UniqueId& id, double init_seconds, double deadline,
                         GiveUp give_up)
    : gpu_(gpu),
      device_(device),
      give_up_(std::move(give_up)),
      events_(std::make_shared<EventPool>(gpu)),
      deadline_(deadline) {
  try {
    stream_ = gpu_.stream_create();
    ready_ = gpu_.event_create(false);
    comm_ = gpu_.comm_init(size, id, rank);
    settle_within(init_seconds, "the start");
    watch_ = quiet_thread([this] { watch(); });
  } catch (const std::exception& error) {
    note_failure(error.what());
    end();
    throw;
  }
}

NcclChannel::~NcclChannel() {
  try {
    if (std::uncaught_exceptions() > 0) note_failure("left by an exception");
    Pauses pauses;
    while (!failed() && anything_under_way()) pauses.sleep();  // the watch sees to an end of it
    if (!failed()) part();
  } catch (const std::exception& error) {
    note_failure(error.what());
  }
  end();
}

bool NcclChannel::anything_under_way() {
  reap();
  const std::lock_guard lock(mutex_);
  return !under_way_.empty();
}

void NcclChannel::part() {
  {
    const std::lock_guard lock(comm_mutex_);
    if (comm_) gpu_.comm_finalize(comm_);
  }
  settle_within(kPartingSeconds, "the end");
  const std::lock_guard lock(comm_mutex_);
  if (comm_) gpu_.comm_destroy(std::exchange(comm_, nullptr));
}

// Stops the watch, which aborts a communicator that has failed, and gives all back.
void NcclChannel::end() {
  if (comm_ && !watch_.joinable()) watch_ = quiet_thread([this] { watch(); });
  if (watch_.joinable()) {
    std::unique_lock lock(mutex_);
    stop_ = true;
    changed_.notify_all();
    if (!failure_.empty() && !changed_.wait_for(lock, kAbortTime, [this] { return aborted_; })) {
      // Stuck in NCCL: this rank can only leave as a process.
      const auto cause = "NCCL does not let go of its communicator after: " + failure_;
      lock.unlock();
      try {
        give_up_(cause);
      } catch (const std::exception&) {
      }
    }
    if (lock) lock.unlock();
    watch_.join();
  }
  under_way_.clear();
  try {
    if (ready_) gpu_.event_destroy(std::exchange(ready_, nullptr));
    if (stream_) gpu_.stream_destroy(std::exchange(stream_, nullptr));
  } catch (const std::exception&) {  // a GPU that has failed: nothing to keep
  }
}

std::shared_ptr<GpuOperation> NcclChannel::prepare(std::string text, std::unique_ptr<Work> check) {
  return std::make_shared<GpuOperation>(events_, std::move(text), std::move(check));
}

void NcclChannel::start(const std::shared_ptr<GpuOperation>& operation, const Call& call) {
  settle();
  reap();
  {
    // Known to the watch before NCCL is: its deadline holds in the call, too.
    const std::lock_guard lock(mutex_);
    under_way_.push_back(operation);
  }
  try {
    enqueue(*operation, call);
  } catch (const std::exception& error) {
    // The other ranks have it in their streams, this one has not: nothing can follow.
    note_failure(error.what());
    await_abort();
    throw;
  }
  const std::lock_guard lock(mutex_);
  operation->enqueued_ = true;
}

void NcclChannel::enqueue(GpuOperation& operation, const Call& call) {
  gpu_.event_record(ready_, gpu_.compute_stream(device_));
  gpu_.stream_wait_event(stream_, ready_);
  gpu_.event_record(operation.begin_, stream_);
  {
    const std::lock_guard lock(comm_mutex_);
    validate(comm_ != nullptr, "the NCCL communicator has been aborted");
    gpu_.group_start();
    std::exception_ptr refused;
    try {
      call(comm_, stream_);
    } catch (...) {
      refused = std::current_exception();
    }
    // A group that was begun is ended, whatever happened: all later calls would join it.
    try {
      gpu_.group_end();
    } catch (...) {
      if (!refused) throw;
    }
    if (refused) std::rethrow_exception(refused);
  }
  // Only then is it in the stream, and an event comes after it.
  settle();
  gpu_.event_record(operation.end_, stream_);
}

void NcclChannel::order_compute_after(const GpuOperation& operation) {
  gpu_.stream_wait_event(gpu_.compute_stream(device_), operation.end_);
}

bool NcclChannel::finished_locked(const GpuOperation& operation) {
  return operation.enqueued_ && operation.all_entered() && gpu_.event_done(operation.end_);
}

bool NcclChannel::finished(const GpuOperation& operation) {
  const std::lock_guard lock(mutex_);
  return finished_locked(operation);
}

double NcclChannel::seconds(const GpuOperation& operation) {
  return finished(operation) ? gpu_.seconds_between(operation.begin_, operation.end_) : 0;
}

void NcclChannel::reap() {
  const std::lock_guard lock(mutex_);
  while (!under_way_.empty() && finished_locked(*under_way_.front())) under_way_.pop_front();
}

bool NcclChannel::settled() {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) throw TransientError(failure_);
  }
  const std::lock_guard lock(comm_mutex_);
  return !comm_ || gpu_.comm_poll(comm_) == Progress::done;
}

// Until NCCL has done what it began. The watch ends it, if nothing else does.
void NcclChannel::settle() {
  Pauses pauses;
  try {
    while (!settled()) pauses.sleep();
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

void NcclChannel::settle_within(double seconds, const char* what) {
  const auto last = Clock::now() + Seconds(seconds);
  Pauses pauses;
  while (!settled()) {
    validate(Clock::now() < last, "NCCL: ", what, " of the communicator did not come about within ",
             seconds,
             " s (a rank did not reach it, or the GPUs cannot reach each other); with "
             "NCCL_DEBUG=INFO in the environment NCCL says more");
    pauses.sleep();
  }
}

bool NcclChannel::failed() {
  const std::lock_guard lock(mutex_);
  return !failure_.empty();
}

std::string NcclChannel::note_failure(const std::string& cause) {
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = cause;
  changed_.notify_all();
  return failure_;
}

void NcclChannel::fail(const std::string& cause) {
  const std::string first = note_failure(cause);
  await_abort();
  throw TransientError(first);
}

void NcclChannel::await_abort() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kAbortTime, [this] { return aborted_; });
}

void NcclChannel::set_deadline(double seconds) {
  const std::lock_guard lock(mutex_);
  deadline_ = seconds;
  changed_.notify_all();
}

// Aborting can take long, and hang: it is the watch's task, not that of a thread that can still
// say what went wrong.
void NcclChannel::abort_communicator() {
  {
    const std::lock_guard lock(comm_mutex_);
    try {
      if (comm_) gpu_.comm_abort(comm_);
    } catch (const std::exception&) {  // the cause is known already
    }
    comm_ = nullptr;
  }
  const std::lock_guard lock(mutex_);
  aborted_ = true;
  changed_.notify_all();
}

// What is wrong, or nothing.
std::string NcclChannel::look() {
  try {
    if (const std::unique_lock lock(comm_mutex_, std::try_to_lock); lock && comm_)
      gpu_.comm_poll(comm_);
    reap();
    const std::lock_guard lock(mutex_);
    if (under_way_.empty()) return {};
    // While a rank has not entered, the host's communicator waits for it and knows its name.
    auto& oldest = *under_way_.front();
    if (!oldest.all_entered()) return {};
    if (!oldest.since_) oldest.since_ = Clock::now();
    if (Clock::now() - *oldest.since_ < Seconds(deadline_)) return {};
    return detail::concatenate(
        "NCCL: collective ", oldest.text(), " did not finish within ", deadline_,
        " s of all ranks' entering it (a GPU, a link between GPUs or the network stalls); with "
        "NCCL_DEBUG=INFO in the environment NCCL says more");
  } catch (const std::exception& error) {
    return error.what();
  }
}

void NcclChannel::watch() {
  try {
    gpu_.set_device(device_);
  } catch (const std::exception& error) {
    note_failure(error.what());
  }
  std::unique_lock lock(mutex_);
  while (!stop_ && failure_.empty()) {
    changed_.wait_for(lock, Seconds(std::min(kLongestLook, deadline_ / 20)));
    if (stop_ || !failure_.empty()) break;
    lock.unlock();
    const auto cause = look();
    lock.lock();
    if (cause.empty() || !failure_.empty()) continue;
    failure_ = cause;
    lock.unlock();
    // Before the abort, which may hang: the job ends here.
    try {
      give_up_(cause);
    } catch (const std::exception&) {
    }
    lock.lock();
  }
  const bool abort = !failure_.empty();
  lock.unlock();
  if (abort) abort_communicator();
}

}  // namespace stylescope
