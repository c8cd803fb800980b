#pragma once

#include "distributed/collective.hpp"
#include "distributed/fault_injection.hpp"
#include "distributed/flight_record.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// The world of ranks as the rest of the program sees it. One rank is an ordinary case:
// SelfCommunicator is a real implementation, and no caller asks whether there is more than one
// rank.
//
// Every call is collective: all ranks make the same calls in the same order with tensors of the
// same shape and dtype; a rank that does not is found out, and the job ends with its name. Tensors
// may lie on any device; they are contiguous (checked). A failure of MPI or NCCL throws Error.
namespace stylescope {

// An operation under way. Its tensors stay alive and untouched until wait() has returned; the
// destructor waits too.
class Work {
 public:
  virtual ~Work() = default;
  // Returns when the result is in place: for a tensor of a GPU, when work that the current stream
  // gets from now on comes after it. Throws Error when the operation failed.
  virtual void wait() = 0;
  // Would wait() return at once?
  virtual bool done() = 0;
  // Seconds that the transfer took, from when all ranks had arrived, once it is done; 0 where
  // nothing was moved.
  virtual double seconds() const { return 0; }
};

// How long is waited before a rank that does not come is taken for lost, in seconds.
struct Deadlines {
  double collective = 600;   // in any collective
  double long_work = 21600;  // where all that do not come have work that others have not (LongWork)
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual const char* backend() const = 0;  // "self", "mpi", "nccl"
  bool is_root() const { return rank() == 0; }

  // In place, or from `input` to `output` of the same shape. A mean is for floating point.
  std::unique_ptr<Work> all_reduce_async(const torch::Tensor& tensor, ReduceOp op = ReduceOp::sum);
  std::unique_ptr<Work> all_reduce_async(const torch::Tensor& output, const torch::Tensor& input,
                                         ReduceOp op);
  // In place, from `root` to all.
  std::unique_ptr<Work> broadcast_async(const torch::Tensor& tensor, int root);
  // output: size() x input.numel() elements, in rank order. In place: input is this rank's part of
  // output.
  std::unique_ptr<Work> all_gather_async(const torch::Tensor& output, const torch::Tensor& input);
  // input: size() x output.numel() elements; this rank gets the reduction of its part. In place:
  // output is this rank's part of input, and the other parts are undefined afterwards.
  std::unique_ptr<Work> reduce_scatter_async(const torch::Tensor& output,
                                             const torch::Tensor& input, ReduceOp op);

  void all_reduce(const torch::Tensor& tensor, ReduceOp op = ReduceOp::sum);
  void all_reduce(const torch::Tensor& output, const torch::Tensor& input, ReduceOp op);
  void broadcast(const torch::Tensor& tensor, int root);
  void all_gather(const torch::Tensor& output, const torch::Tensor& input);
  void reduce_scatter(const torch::Tensor& output, const torch::Tensor& input, ReduceOp op);
  // Sleeps while it waits: a rank with nothing to do leaves its core to the others.
  void barrier();

  // One tensor a rank, in rank order; shapes may differ between ranks (dtypes and the number of
  // axes, at most 8, may not).
  std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor);
  // The same double / text on every rank afterwards.
  double all_reduce(double value, ReduceOp op = ReduceOp::sum);
  std::string broadcast(const std::string& text, int root);
  std::vector<std::string> all_gather(const std::string& text);

  // The ranks that pass the same colour (>= 0) form a world of their own, in the order of their
  // ranks here.
  virtual std::unique_ptr<Communicator> split(int color) = 0;

  // What this rank works on, for the message when a rank gets lost: "gan", step 17. `activity`
  // must live as long as the program.
  virtual void doing(const char* activity, int64_t step) = 0;
  // See LongWork.
  virtual void long_work(bool begins) = 0;
  virtual void set_deadlines(const Deadlines& deadlines) = 0;
  // Ends every rank of the job with this exit code, and says the cause once, with this rank and its
  // host. Does not return. May be called from any thread.
  [[noreturn]] virtual void abort(int exit_code, const std::string& cause) = 0;

 protected:
  // Runs the operation / starts it. The tensors are checked.
  virtual void run(const Collective& call) = 0;
  virtual std::unique_ptr<Work> start(const Collective& call) = 0;
};

// A world of one.
class SelfCommunicator final : public Communicator {
 public:
  SelfCommunicator() : faults_(0) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }
  const char* backend() const override { return "self"; }
  std::unique_ptr<Communicator> split(int color) override;
  void doing(const char* activity, int64_t step) override { record_.doing(activity, step); }
  void long_work(bool) override {}
  void set_deadlines(const Deadlines&) override {}
  [[noreturn]] void abort(int exit_code, const std::string& cause) override;

 protected:
  void run(const Collective& call) override;
  std::unique_ptr<Work> start(const Collective& call) override;

 private:
  FlightRecord record_;
  FaultInjection faults_;
};

// While it lives, this rank has work that others have not (files of the root, slides of a queue):
// those who wait for it are patient.
class LongWork {
 public:
  explicit LongWork(Communicator& world) : world_(world) { world_.long_work(true); }
  ~LongWork() { world_.long_work(false); }
  LongWork(const LongWork&) = delete;
  LongWork& operator=(const LongWork&) = delete;

 private:
  Communicator& world_;
};

// Runs `work` on the root alone, while the others sleep; a failure there is thrown on every rank,
// with the same text, so that nobody waits for a rank that has given up.
void on_root(Communicator& world, const std::function<void()>& work);

}  // namespace stylescope
