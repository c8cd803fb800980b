#pragma once

#include "distributed/communicator.hpp"
#include "io/base/error.hpp"

#include <mutex>
#include <string>

namespace stylescope::testing_support {

// Another communicator, of which abort() is noted and throws: the test goes on and asks for it.
class RecordingHost final : public Communicator {
 public:
  explicit RecordingHost(Communicator& inner) : inner_(inner) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  const char* backend() const override { return inner_.backend(); }
  std::unique_ptr<Communicator> split(int color) override { return inner_.split(color); }
  void doing(const char* activity, int64_t) override { activity_ = activity; }
  void long_work(bool) override {}
  void set_deadlines(const Deadlines& deadlines) override { deadlines_ = deadlines; }
  [[noreturn]] void abort(int exit_code, const std::string& cause) override {
    const std::lock_guard lock(mutex_);
    cause_ = std::to_string(exit_code) + ": " + cause;
    throw Error("the job has been aborted");
  }

  // "1: the cause"; empty: not aborted.
  std::string cause() const {
    const std::lock_guard lock(mutex_);
    return cause_;
  }
  const std::string& activity() const { return activity_; }
  const Deadlines& deadlines() const { return deadlines_; }

 protected:
  void run(const Collective& call) override {
    switch (call.kind) {
      case Collective::Kind::barrier:
        return inner_.barrier();
      case Collective::Kind::all_reduce:
        return inner_.all_reduce(call.output, call.input, call.op);
      case Collective::Kind::broadcast:
        return inner_.broadcast(call.output, call.root);
      case Collective::Kind::all_gather:
        return inner_.all_gather(call.output, call.input);
      case Collective::Kind::reduce_scatter:
        return inner_.reduce_scatter(call.output, call.input, call.op);
    }
  }
  std::unique_ptr<Work> start(const Collective& call) override {
    switch (call.kind) {
      case Collective::Kind::all_reduce:
        return inner_.all_reduce_async(call.output, call.input, call.op);
      case Collective::Kind::broadcast:
        return inner_.broadcast_async(call.output, call.root);
      case Collective::Kind::all_gather:
        return inner_.all_gather_async(call.output, call.input);
      case Collective::Kind::reduce_scatter:
        return inner_.reduce_scatter_async(call.output, call.input, call.op);
      case Collective::Kind::barrier:
        break;
    }
    SS_CHECK(false);
    return nullptr;
  }

 private:
  Communicator& inner_;
  std::string activity_;
  Deadlines deadlines_;
  mutable std::mutex mutex_;
  std::string cause_;
};

}  // namespace stylescope::testing_support
