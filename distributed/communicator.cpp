#include "distributed/communicator.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace stylescope {
namespace {

class DoneWork final : public Work {
 public:
  void wait() override {}
  bool done() override { return true; }
};

void check_tensor(const torch::Tensor& tensor) {
  SS_CHECK(tensor.defined() && tensor.is_contiguous(), tensor.sizes());
}

Collective checked(Collective call) {
  using Kind = Collective::Kind;
  check_tensor(call.input);
  check_tensor(call.output);
  SS_CHECK(call.input.scalar_type() == call.output.scalar_type() &&
           call.input.device() == call.output.device());
  const bool reduces = call.kind == Kind::all_reduce || call.kind == Kind::reduce_scatter;
  SS_CHECK(!reduces || call.op != ReduceOp::mean || call.input.is_floating_point(),
           "a mean of whole numbers");
  return call;
}

Collective reduction(const torch::Tensor& output, const torch::Tensor& input, ReduceOp op) {
  SS_CHECK(output.numel() == input.numel());
  return checked({Collective::Kind::all_reduce, op, 0, input, output});
}

Collective broadcasting(const torch::Tensor& tensor, int root, int size) {
  SS_CHECK(root >= 0 && root < size, root);
  return checked({Collective::Kind::broadcast, ReduceOp::sum, root, tensor, tensor});
}

Collective gathering(const torch::Tensor& output, const torch::Tensor& input, int size) {
  SS_CHECK(output.numel() == input.numel() * size, output.numel(), " ", input.numel());
  return checked({Collective::Kind::all_gather, ReduceOp::sum, 0, input, output});
}

Collective scattering(const torch::Tensor& output, const torch::Tensor& input, ReduceOp op,
                      int size) {
  SS_CHECK(input.numel() == output.numel() * size, output.numel(), " ", input.numel());
  return checked({Collective::Kind::reduce_scatter, op, 0, input, output});
}

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

std::unique_ptr<Work> Communicator::all_reduce_async(const torch::Tensor& tensor, ReduceOp op) {
  return start(reduction(tensor, tensor, op));
}

std::unique_ptr<Work> Communicator::all_reduce_async(const torch::Tensor& output,
                                                     const torch::Tensor& input, ReduceOp op) {
  return start(reduction(output, input, op));
}

std::unique_ptr<Work> Communicator::broadcast_async(const torch::Tensor& tensor, int root) {
  return start(broadcasting(tensor, root, size()));
}

std::unique_ptr<Work> Communicator::all_gather_async(const torch::Tensor& output,
                                                     const torch::Tensor& input) {
  return start(gathering(output, input, size()));
}

std::unique_ptr<Work> Communicator::reduce_scatter_async(const torch::Tensor& output,
                                                         const torch::Tensor& input, ReduceOp op) {
  return start(scattering(output, input, op, size()));
}

void Communicator::all_reduce(const torch::Tensor& tensor, ReduceOp op) {
  run(reduction(tensor, tensor, op));
}

void Communicator::all_reduce(const torch::Tensor& output, const torch::Tensor& input,
                              ReduceOp op) {
  run(reduction(output, input, op));
}

void Communicator::broadcast(const torch::Tensor& tensor, int root) {
  run(broadcasting(tensor, root, size()));
}

void Communicator::all_gather(const torch::Tensor& output, const torch::Tensor& input) {
  run(gathering(output, input, size()));
}

void Communicator::reduce_scatter(const torch::Tensor& output, const torch::Tensor& input,
                                  ReduceOp op) {
  run(scattering(output, input, op, size()));
}

void Communicator::barrier() { run({}); }

std::vector<torch::Tensor> Communicator::all_gather(const torch::Tensor& tensor) {
  constexpr int64_t kAxes = 8;
  SS_CHECK(tensor.dim() <= kAxes, tensor.sizes());
  auto shape = torch::zeros({kAxes}, torch::kInt64);
  for (int64_t d = 0; d < tensor.dim(); ++d) shape[d] = tensor.size(d);
  auto shapes = torch::empty({size(), kAxes}, torch::kInt64);
  all_gather(shapes, shape);

  // Padded to the largest: an exchange of equal parts, which every backend has.
  std::vector<std::vector<int64_t>> extents;
  int64_t largest = 0;
  for (int r = 0; r < size(); ++r) {
    const auto* first = shapes[r].const_data_ptr<int64_t>();
    extents.emplace_back(first, first + tensor.dim());
    largest = std::max(largest, c10::multiply_integers(extents.back()));
  }
  auto mine = torch::zeros({largest}, tensor.options());
  mine.narrow(0, 0, tensor.numel()).copy_(tensor.reshape(-1));
  auto all = torch::empty({size(), largest}, tensor.options());
  if (largest > 0) all_gather(all, mine);
  std::vector<torch::Tensor> gathered;
  for (int r = 0; r < size(); ++r) {
    const auto& sizes = extents[static_cast<size_t>(r)];
    gathered.push_back(all[r].narrow(0, 0, c10::multiply_integers(sizes)).reshape(sizes).clone());
  }
  return gathered;
}

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

void SelfCommunicator::run(const Collective& call) {
  faults_.at(record_);
  if (call.output.defined() && call.output.data_ptr() != call.input.data_ptr())
    call.output.view(-1).copy_(call.input.view(-1));
}

std::unique_ptr<Work> SelfCommunicator::start(const Collective& call) {
  run(call);
  return std::make_unique<DoneWork>();
}

std::unique_ptr<Communicator> SelfCommunicator::split(int color) {
  SS_CHECK(color >= 0, color);
  return std::make_unique<SelfCommunicator>();
}

void SelfCommunicator::abort(int exit_code, const std::string& cause) {
  std::fprintf(stderr, "error: %s\n", cause.c_str());
  std::_Exit(exit_code);
}

namespace {

// The kind of a failure, for the ranks that only hear of it: all must leave with the same exit
// code.
char kind_of(const std::exception& error) {
  if (dynamic_cast<const Interrupted*>(&error)) return 'i';
  if (dynamic_cast<const UsageError*>(&error)) return 'u';
  // What is not worded for a user (a library's error, no memory) need not come again.
  const bool lasting =
      dynamic_cast<const Error*>(&error) && !dynamic_cast<const TransientError*>(&error);
  return lasting ? 'e' : 't';
}

// LibTorch's own errors carry a stack trace.
std::string text_of_failure(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return torch_error ? torch_error->what_without_backtrace() : error.what();
}

[[noreturn]] void rethrow(char kind, const std::string& text) {
  if (kind == 'i') throw Interrupted(text);
  if (kind == 'u') throw UsageError(text);
  if (kind == 't') throw TransientError(text);
  throw Error(text);
}

}  // namespace

void on_root(Communicator& world, const std::function<void()>& work) {
  std::exception_ptr cause;
  std::string failure;  // its kind, then its text; empty: none
  if (world.is_root()) {
    try {
      const LongWork busy(world);
      work();
    } catch (const std::exception& error) {
      cause = std::current_exception();
      failure = kind_of(error) + text_of_failure(error);
    }
  }
  world.barrier();  // sleeps: the broadcast below would spin for as long as the root works
  failure = world.broadcast(failure, 0);
  if (cause) std::rethrow_exception(cause);
  if (!failure.empty()) rethrow(failure[0], failure.substr(1));
}

}  // namespace stylescope
