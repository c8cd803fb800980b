#include "pipeline/timed_communicator.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace stylescope {
namespace {

// Adds the time it lives to a record.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

class TimedWork final : public Work {
 public:
  TimedWork(std::unique_ptr<Work> work, std::shared_ptr<TimedCommunicator::Record> record)
      : work_(std::move(work)), record_(std::move(record)) {}
  void wait() override {
    {
      const Stopwatch stopwatch(record_->blocked);
      work_->wait();
    }
    record_->transfer = work_->seconds();
  }
  bool done() override { return work_->done(); }
  double seconds() const override { return work_->seconds(); }

 private:
  std::unique_ptr<Work> work_;
  std::shared_ptr<TimedCommunicator::Record> record_;
};

}  // namespace

std::vector<TimedCommunicator::Record> TimedCommunicator::take() {
  const std::lock_guard lock(mutex_);
  std::vector<Record> taken;
  for (const auto& record : records_) taken.push_back(*record);
  records_.clear();
  return taken;
}

std::shared_ptr<TimedCommunicator::Record> TimedCommunicator::note(const Collective& call,
                                                                   bool asynchronous) {
  auto record = std::make_shared<Record>();
  record->kind = call.kind;
  record->asynchronous = asynchronous;
  if (call.input.defined())
    record->bytes = static_cast<double>(std::max(call.input.nbytes(), call.output.nbytes()));
  const std::lock_guard lock(mutex_);
  records_.push_back(record);
  return record;
}

void TimedCommunicator::run(const Collective& call) {
  const auto record = note(call, false);
  const Stopwatch stopwatch(record->blocked);
  run_collective(within_, call);
}

std::unique_ptr<Work> TimedCommunicator::start(const Collective& call) {
  auto record = note(call, true);
  std::unique_ptr<Work> work;
  {
    const Stopwatch stopwatch(record->blocked);
    work = start_collective(within_, call);
  }
  return std::make_unique<TimedWork>(std::move(work), std::move(record));
}

}  // namespace stylescope
