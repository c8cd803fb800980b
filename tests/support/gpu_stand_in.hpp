#pragma once

#include "distributed/communicator.hpp"
#include "distributed/gpu_functions.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace stylescope::testing_support {

// NCCL and the CUDA runtime for machines without a GPU: host memory, moved by another communicator.
// Results appear as late as CUDA allows, when the compute stream is made to wait for them, so that
// a missing wait shows; nothing starts before NCCL's non-blocking calls have been polled to their
// end. Whatever NCCL or CUDA would not allow is noted, and most of it thrown too.
//
// One thread may make communicators and start and await operations; any may ask and abort, as with
// the real ones. Groups of communicators are made by all ranks at the same time (one level of
// splits).
class GpuStandIn {
 public:
  explicit GpuStandIn(Communicator& host);  // collective; `host` lives longer
  ~GpuStandIn();
  GpuStandIn(const GpuStandIn&) = delete;
  GpuStandIn& operator=(const GpuStandIn&) = delete;

  const GpuFunctions& functions() const { return functions_; }
  // A copy in what counts as the GPU's memory.
  torch::Tensor place(const torch::Tensor& tensor);

  // Faults, of this rank: communicators do not start, or never get ready; the n-th collective from
  // now on ends in an error that comm_poll tells, or never ends.
  enum class Start { works, fails, stalls };
  void set_start(Start start);
  void fail_at(int collective);
  void stall_at(int collective);

  // What went wrong so far (forgotten afterwards), and what has not been given back.
  std::vector<std::string> complaints();
  std::vector<std::string> leftovers();
  int aborts();
  int collectives();

 private:
  enum class State { starting, ready, finalizing, finalized, destroyed, aborted };
  struct Comm {
    std::unique_ptr<Communicator> ranks;
    State state = State::starting;
    int polls_left = 0;  // until what was begun is done
    bool stalled = false;
    std::string error;
    int polls_before_error = 0;
  };
  struct Stream;
  struct Operation {
    Collective::Kind kind = Collective::Kind::barrier;
    ReduceOp op = ReduceOp::sum;
    int root = 0;
    torch::ScalarType dtype = torch::kFloat32;
    size_t count = 0;
    const char* input = nullptr;
    char* output = nullptr;
    Comm* comm = nullptr;
    Stream* stream = nullptr;
    torch::Tensor sent, received;
    std::unique_ptr<Work> work;
    bool stalled = false, delivered = false, released = false;
    size_t input_bytes() const;
    size_t output_bytes() const;
  };
  struct Stream {
    bool computes = false, destroyed = false;
    std::deque<Operation> operations;  // all there ever were: positions are indices
    uint64_t waited = 0;               // the last record on the compute stream that it waits for
    uint64_t fresh_since = 0;          // as of its last collective
  };
  struct Event {
    bool timed = false, recorded = false, destroyed = false;
    Stream* stream = nullptr;
    size_t position = 0;  // operations before it
    uint64_t record = 0;  // running number of records
  };
  struct Block {
    size_t bytes = 0;
    std::unique_ptr<char[]> memory;
  };
  // Tensors may live longer than the stand-in.
  struct Memory {
    std::mutex mutex;
    std::map<const char*, Block> blocks;
    std::vector<std::string> freed_early;
    std::map<const char*, int> in_use;
  };

  void fill_communicators();
  void fill_collectives();
  void fill_streams();
  [[noreturn]] void refuse(const std::string& text);
  void complain(const std::string& text);
  void require_usable(Comm* comm, const char* call);
  void add(Collective::Kind kind, ReduceOp op, int root, const void* input, void* output,
           size_t count, torch::ScalarType dtype, GpuFunctions::Comm comm,
           GpuFunctions::Stream stream);
  void launch(Operation operation);
  void check_buffers(const Operation& operation);
  void deliver(Stream& stream, size_t position);
  bool ended(Operation& operation);
  void release(Operation& operation);
  const Block* block_of(const char* first, const char** begin) const;

  std::unique_ptr<Communicator> host_;
  GpuFunctions functions_;
  std::shared_ptr<Memory> memory_;

  std::recursive_mutex mutex_;
  std::vector<std::unique_ptr<Comm>> comms_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Event>> events_;
  std::vector<Operation> group_;
  bool in_group_ = false;
  uint64_t records_ = 0;
  int ids_ = 0, aborts_ = 0, collectives_ = 0, fail_at_ = 0, stall_at_ = 0;
  Start start_ = Start::works;
  std::vector<std::string> complaints_;
};

}  // namespace stylescope::testing_support
