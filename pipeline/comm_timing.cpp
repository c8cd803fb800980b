#include "pipeline/comm_timing.hpp"

#include "distributed/mpi_reference.hpp"
#include "io/base/error.hpp"
#include "pipeline/bench_timing.hpp"
#include "pipeline/timed_communicator.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

using Kind = Collective::Kind;

bool reduces(Kind kind) { return kind == Kind::all_reduce || kind == Kind::reduce_scatter; }

// Small whole numbers, different at neighbouring places and on every rank; their sums over the
// ranks are exact in every dtype (bfloat16 counts to 256).
class Pattern {
 public:
  Pattern(int64_t ranks, torch::Dtype dtype, torch::Device device)
      : ranks_(ranks),
        period_(dtype == torch::kBFloat16 ? std::max<int64_t>(2, 128 / ranks) : 251),
        options_(torch::dtype(dtype).device(device)) {}

  torch::Tensor of_rank(int64_t rank, int64_t first, int64_t count) const {
    return places(first + rank, count).to(options_);
  }
  torch::Tensor sum(int64_t first, int64_t count) const {
    // A function of the place within a period.
    auto sums = torch::zeros({period_}, places(0, 1).options());
    for (int64_t rank = 0; rank < ranks_; ++rank) sums.add_(places(rank, period_));
    return sums.index_select(0, places(first, count)).to(options_);
  }

 private:
  torch::Tensor places(int64_t first, int64_t count) const {
    return torch::arange(first, first + count, options_.dtype(torch::kInt64)).remainder_(period_);
  }
  int64_t ranks_, period_;
  torch::TensorOptions options_;
};

// The tensors of a case, and what they should hold before and after.
class Exercise {
 public:
  Exercise(Communicator& world, const CommCase& test) : in_place_(test.in_place) {
    const int64_t n = world.size(), rank = world.rank(), count = test.count;
    const Pattern pattern(n, test.dtype, test.device);
    const auto empty = [&](int64_t elements) {
      return torch::empty({elements}, torch::dtype(test.dtype).device(test.device));
    };
    call.kind = test.kind;
    switch (test.kind) {
      case Kind::barrier:
        return;
      case Kind::all_reduce:
        call.output = empty(count);
        call.input = in_place_ ? call.output : empty(count);
        given_ = pattern.of_rank(rank, 0, count);
        expected_ = pattern.sum(0, count);
        return;
      case Kind::broadcast:
        call.output = call.input = empty(count);
        expected_ = pattern.of_rank(0, 0, count);
        if (rank == 0) given_ = expected_;
        return;
      case Kind::all_gather:
        call.output = empty(n * count);
        call.input = in_place_ ? call.output.narrow(0, rank * count, count) : empty(count);
        given_ = pattern.of_rank(rank, rank * count, count);
        for (int64_t r = 0; r < n; ++r) parts_.push_back(pattern.of_rank(r, r * count, count));
        expected_ = torch::cat(parts_);
        parts_.clear();
        return;
      case Kind::reduce_scatter:
        call.input = empty(n * count);
        call.output = in_place_ ? call.input.narrow(0, rank * count, count) : empty(count);
        given_ = pattern.of_rank(rank, 0, n * count);
        expected_ = pattern.sum(rank * count, count);
        return;
    }
  }

  void fill() {
    if (!call.input.defined()) return;
    call.output.fill_(-1);
    if (given_.defined()) call.input.copy_(given_);
  }
  // Does a result become the next call's input, and grow?
  bool grows() const { return in_place_ && reduces(call.kind); }
  void clear() {
    if (grows()) call.input.zero_();
  }
  int64_t wrong() const {
    return expected_.defined() ? call.output.ne(expected_).sum().item<int64_t>() : 0;
  }

  Collective call;

 private:
  bool in_place_;
  torch::Tensor given_, expected_;
  std::vector<torch::Tensor> parts_;
};

// Seconds a call on this rank; all ranks start at once.
double batch_seconds(Communicator& world, Exercise& exercise, int64_t calls, torch::Device device) {
  world.all_reduce(0.0);
  const double begin = device_clock(device);
  for (int64_t i = 0; i < calls; ++i) run_collective(world, exercise.call);
  return (device_clock(device) - begin) / static_cast<double>(calls);
}

// What a batch of each kind took.
struct Batches {
  std::vector<double> ours, plain;
};

// The slowest rank of each batch.
std::vector<double> slowest(Communicator& world, const std::vector<double>& seconds) {
  auto all = torch::tensor(seconds, torch::kFloat64);
  world.all_reduce(all, ReduceOp::max);
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

}  // namespace

double bytes_of(const CommCase& test, int64_t ranks) {
  const bool parts = test.kind == Kind::all_gather || test.kind == Kind::reduce_scatter;
  return static_cast<double>(test.count * (parts ? ranks : 1)) *
         static_cast<double>(torch::elementSize(test.dtype));
}

CommTiming time_collective(Communicator& world, const CommCase& test, double seconds, bool plain) {
  Exercise exercise(world, test);
  int64_t wrong = 0;
  const auto check = [&] {
    exercise.fill();
    run_collective(world, exercise.call);
    wrong += exercise.wrong();
    exercise.clear();
  };
  const auto ours = [&](int64_t calls) {
    check();
    const double taken = batch_seconds(world, exercise, calls, test.device);
    if (!exercise.grows()) wrong += exercise.wrong();
    return taken;
  };
  const auto bare = [&](int64_t calls) {
    check();  // the same state of caches as for ours
    return plain_collective_seconds(exercise.call, calls);
  };

  ours(1);
  const double once = world.all_reduce(std::max(ours(3), 1e-7), ReduceOp::max);
  if (plain) plain = bare(1) > 0;
  constexpr double kBatches = 20;
  const auto calls = static_cast<int64_t>(std::clamp(seconds / kBatches / once, 1.0, 5000.0));
  const auto rounds = static_cast<int64_t>(
      std::clamp(seconds / ((plain ? 2 : 1) * once * static_cast<double>(calls)), 3.0, 200.0));
  Batches batches;
  for (int64_t round = 0; round < rounds; ++round) {
    const bool plain_first = plain && round % 2 == 1;
    if (plain_first) batches.plain.push_back(bare(calls));
    batches.ours.push_back(ours(calls));
    if (plain && !plain_first) batches.plain.push_back(bare(calls));
  }

  CommTiming timing;
  const auto our_times = slowest(world, batches.ours);
  timing.seconds = median(our_times);
  timing.calls = calls * rounds;
  timing.wrong = std::llround(world.all_reduce(static_cast<double>(wrong)));
  if (!plain) return timing;
  const auto plain_times = slowest(world, batches.plain);
  timing.plain = median(plain_times);
  std::vector<double> differences;
  for (size_t i = 0; i < our_times.size(); ++i)
    differences.push_back(our_times[i] - plain_times[i]);
  timing.overhead = median(differences);
  return timing;
}

}  // namespace stylescope
