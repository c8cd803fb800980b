#pragma once

#include "distributed/communicator.hpp"
#include "distributed/run_collective.hpp"

#include <memory>
#include <mutex>
#include <vector>

namespace stylescope {

// A world that notes how long its rank waits in each collective; everything else is the world's
// within. On a GPU the wait of an asynchronous operation is the stream's, which is not seen here.
class TimedCommunicator final : public Communicator {
 public:
  struct Record {
    Collective::Kind kind = Collective::Kind::barrier;
    double bytes = 0;     // as bench comm counts them
    double blocked = 0;   // seconds in which this rank did nothing else
    double transfer = 0;  // Work::seconds(); 0 where the call was synchronous
    bool asynchronous = false;
  };

  explicit TimedCommunicator(Communicator& within) : within_(within) {}

  // What was entered since the last call, in order. Nothing may be under way.
  std::vector<Record> take();

  int rank() const override { return within_.rank(); }
  int size() const override { return within_.size(); }
  const char* backend() const override { return within_.backend(); }
  std::unique_ptr<Communicator> split(int color) override { return within_.split(color); }
  void doing(const char* activity, int64_t step) override { within_.doing(activity, step); }
  void long_work(bool begins) override { within_.long_work(begins); }
  void set_deadlines(const Deadlines& deadlines) override { within_.set_deadlines(deadlines); }
  [[noreturn]] void abort(int exit_code, const std::string& cause) override {
    within_.abort(exit_code, cause);
  }

 protected:
  void run(const Collective& call) override;
  std::unique_ptr<Work> start(const Collective& call) override;

 private:
  std::shared_ptr<Record> note(const Collective& call, bool asynchronous);

  Communicator& within_;
  std::mutex mutex_;  // gradients are ready on the threads of autograd
  std::vector<std::shared_ptr<Record>> records_;
};

}  // namespace stylescope
