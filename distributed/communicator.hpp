#pragma once

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
// same shape and dtype. Tensors may lie on any device; they are contiguous (checked). A failure of
// MPI throws Error.
namespace stylescope {

enum class ReduceOp { sum, max, min };

// An operation under way. wait() returns when the tensor holds the result; the destructor waits
// too.
class Work {
 public:
  virtual ~Work() = default;
  virtual void wait() = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // In place. The tensor must stay alive and untouched until wait().
  virtual std::unique_ptr<Work> all_reduce_async(torch::Tensor tensor, ReduceOp op) = 0;
  // In place, from `root` to all.
  virtual void broadcast(torch::Tensor tensor, int root) = 0;
  // One tensor a rank, in rank order; shapes may differ between ranks (dtypes and the number of
  // axes may not).
  virtual std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor) = 0;
  // Sleeps while it waits: a rank with nothing to do leaves its core to the others.
  virtual void barrier() = 0;
  // Ends every rank of the job with this exit code, now. Does not return.
  [[noreturn]] virtual void abort(int exit_code) = 0;

  void all_reduce(const torch::Tensor& tensor, ReduceOp op = ReduceOp::sum) {
    all_reduce_async(tensor, op)->wait();
  }
  // The same double / text on every rank afterwards.
  double all_reduce(double value, ReduceOp op = ReduceOp::sum);
  std::string broadcast(const std::string& text, int root);
  std::vector<std::string> all_gather(const std::string& text);
  bool is_root() const { return rank() == 0; }
};

// A world of one.
class SelfCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::unique_ptr<Work> all_reduce_async(torch::Tensor tensor, ReduceOp op) override;
  void broadcast(torch::Tensor tensor, int root) override;
  std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor) override;
  void barrier() override {}
  [[noreturn]] void abort(int exit_code) override;
};

// Runs `work` on the root alone, while the others sleep; a failure there is thrown on every rank,
// with the same text, so that nobody waits for a rank that has given up.
void on_root(Communicator& world, const std::function<void()>& work);

}  // namespace stylescope
