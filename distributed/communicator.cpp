#include "distributed/communicator.hpp"

#include "io/base/error.hpp"

#include <cstdlib>

namespace stylescope {
namespace {

class DoneWork final : public Work {
 public:
  void wait() override {}
};

torch::Tensor bytes_of(const std::string& text) {
  auto bytes = torch::empty({static_cast<int64_t>(text.size())}, torch::kUInt8);
  std::copy(text.begin(), text.end(), bytes.data_ptr<uint8_t>());
  return bytes;
}

std::string text_of(const torch::Tensor& bytes) {
  const auto* first = bytes.data_ptr<uint8_t>();
  return std::string(first, first + bytes.numel());
}

}  // namespace

double Communicator::all_reduce(double value, ReduceOp op) {
  auto tensor = torch::full({1}, value, torch::kFloat64);
  all_reduce(tensor, op);
  return tensor.item<double>();
}

std::string Communicator::broadcast(const std::string& text, int root) {
  auto length = torch::full({1}, static_cast<int64_t>(text.size()), torch::kInt64);
  broadcast(length, root);
  auto bytes =
      rank() == root ? bytes_of(text) : torch::empty({length.item<int64_t>()}, torch::kUInt8);
  if (bytes.numel() > 0) broadcast(bytes, root);
  return text_of(bytes);
}

std::vector<std::string> Communicator::all_gather(const std::string& text) {
  std::vector<std::string> texts;
  for (const auto& bytes : all_gather(bytes_of(text))) texts.push_back(text_of(bytes));
  return texts;
}

std::unique_ptr<Work> SelfCommunicator::all_reduce_async(torch::Tensor tensor, ReduceOp) {
  SS_CHECK(tensor.is_contiguous());
  return std::make_unique<DoneWork>();
}

void SelfCommunicator::broadcast(torch::Tensor tensor, int root) {
  SS_CHECK(tensor.is_contiguous() && root == 0);
}

std::vector<torch::Tensor> SelfCommunicator::all_gather(const torch::Tensor& tensor) {
  return {tensor.clone()};
}

void SelfCommunicator::abort(int exit_code) { std::_Exit(exit_code); }

namespace {

// The kind of a failure, for the ranks that only hear of it: all must leave with the same exit
// code.
char kind_of(const std::exception& error) {
  if (dynamic_cast<const Interrupted*>(&error)) return 'i';
  return dynamic_cast<const UsageError*>(&error) ? 'u' : 'e';
}

[[noreturn]] void rethrow(char kind, const std::string& text) {
  if (kind == 'i') throw Interrupted(text);
  if (kind == 'u') throw UsageError(text);
  throw Error(text);
}

}  // namespace

void on_root(Communicator& world, const std::function<void()>& work) {
  std::exception_ptr cause;
  std::string failure;  // its kind, then its text; empty: none
  if (world.is_root()) {
    try {
      work();
    } catch (const std::exception& error) {
      cause = std::current_exception();
      failure = kind_of(error) + std::string(error.what());
    }
  }
  world.barrier();  // sleeps: the broadcast below would spin for as long as the root works
  failure = world.broadcast(failure, 0);
  if (cause) std::rethrow_exception(cause);
  if (!failure.empty()) rethrow(failure[0], failure.substr(1));
}

}  // namespace stylescope
