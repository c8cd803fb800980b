#include "distributed/gradient_reducer.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace stylescope {
namespace {

// The first bucket to leave is smaller: the wire has something to do sooner.
constexpr int64_t kFirstShare = 4;

// A smart pointer, of a kind that differs between versions of LibTorch.
using Accumulator =
    decltype(torch::autograd::impl::grad_accumulator(std::declval<const torch::Tensor&>()));

std::vector<int64_t> sizes_of(const std::vector<torch::Tensor>& parameters) {
  std::vector<int64_t> sizes;
  for (const auto& p : parameters) sizes.push_back(p.numel());
  return sizes;
}

// Offsets of the parameters in the flat buffer, and its size.
std::vector<int64_t> offsets_of(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> offsets{0};
  for (const int64_t size : sizes) offsets.push_back(offsets.back() + size);
  return offsets;
}

}  // namespace

std::vector<int64_t> bucket_borders(const std::vector<int64_t>& parameter_sizes,
                                    int64_t element_size, const ReducerOptions& options) {
  const auto elements = std::max<int64_t>(
      std::llround(options.bucket_mb * 1e6 / static_cast<double>(element_size)), 1);
  const auto offsets = offsets_of(parameter_sizes);
  std::vector<int64_t> borders{offsets.back()};
  int64_t wanted = std::max<int64_t>(elements / kFirstShare, 1);
  for (size_t i = offsets.size() - 1; i-- > 0;)
    if (i == 0 || borders.back() - offsets[i] >= wanted) {
      borders.push_back(offsets[i]);
      wanted = elements;
    }
  std::ranges::reverse(borders);
  return borders;
}

void ReducerOptions::describe(Fields& f) {
  f.field("bucket_mb", bucket_mb, {0.001, 100'000},
          "gradients are summed over the ranks in pieces of this size, in MB, while the backward "
          "pass still makes the others");
  f.choice("wire", wire, {"native", "bfloat16"},
           "what gradients travel as: native, as they are; bfloat16: half the bytes of float32, "
           "with 8 bits of precision");
}

double ReductionFigures::hidden() const {
  return transfer > 0 ? std::clamp(1 - exposed / transfer, 0.0, 1.0) : 1.0;
}

// All that the hooks touch. They run on one thread at a time, the one that calls backward or the
// device's own, while the caller waits in backward: no lock is needed.
class GradientReducer::State : public std::enable_shared_from_this<State> {
 public:
  State(Communicator& world, const std::vector<torch::Tensor>& parameters,
        const torch::Tensor& gradients, const ReducerOptions& options)
      : world_(world),
        parameters_(parameters),
        gradients_(gradients),
        offsets_(offsets_of(sizes_of(parameters))),
        alone_(world.size() == 1),
        narrow_(options.wire == "bfloat16" && gradients.scalar_type() != torch::kBFloat16) {
    SS_CHECK(!parameters.empty() && gradients.dim() == 1 && gradients.is_contiguous());
    SS_CHECK(offsets_.back() == gradients.numel(), offsets_.back(), " ", gradients.numel());
    check_views();
    set_borders(bucket_borders(sizes_of(parameters), static_cast<int64_t>(gradients.element_size()),
                               options));
  }

  // Alone, there is nothing to wait for: no hook slows the backward pass down.
  void listen();

  std::vector<int64_t> borders() const {
    std::vector<int64_t> all;
    for (const auto& bucket : buckets_) all.push_back(bucket.begin);
    std::ranges::reverse(all);
    all.push_back(offsets_.back());
    return all;
  }

  void set_borders(const std::vector<int64_t>& borders);
  void begin() {
    SS_CHECK(works_.empty() && !armed_, "a phase is under way");
    for (auto& bucket : buckets_) bucket.missing = bucket.parameters;
    std::ranges::fill(seen_, false);
  }
  void arm() {
    SS_CHECK(!armed_ && works_.empty());
    armed_ = true;
  }
  void ready(size_t parameter);
  void finish();

  ReductionFigures figures;

 private:
  struct Bucket {
    int64_t begin = 0, end = 0;
    int64_t parameters = 0;  // in it
    int64_t missing = 0;     // of them without their gradient yet
    torch::Tensor values;    // view of the flat buffer
    torch::Tensor wire;      // bfloat16, where gradients travel as that
  };

  void start_next();
  void check_views() const;

  Communicator& world_;
  std::vector<torch::Tensor> parameters_;
  torch::Tensor gradients_;
  std::vector<int64_t> offsets_;
  bool alone_, narrow_;
  std::vector<Accumulator> accumulators_;
  std::vector<Bucket> buckets_;    // in the order in which they leave: the last parameters first
  std::vector<size_t> bucket_of_;  // parameter -> bucket
  std::vector<char> seen_;         // parameters whose gradient came in the armed pass
  std::vector<std::unique_ptr<Work>> works_;  // of the first buckets
  bool armed_ = false;
};

namespace {

// Called when a parameter's gradient of a backward pass has been added to its .grad.
template <class State>
struct ReadyHook final : torch::autograd::FunctionPostHook {
  ReadyHook(std::weak_ptr<State> reducer, size_t number)
      : state(std::move(reducer)), parameter(number) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                            const torch::autograd::variable_list&) override {
    if (const auto reducer = state.lock()) reducer->ready(parameter);
    return outputs;
  }
  std::weak_ptr<State> state;
  size_t parameter;
};

}  // namespace

void GradientReducer::State::listen() {
  if (alone_) return;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    // A variable knows its accumulator weakly: this keeps it, with the hook, for as long as we
    // live.
    auto accumulator = torch::autograd::impl::grad_accumulator(parameters_[i]);
    SS_CHECK(accumulator, "a parameter without a gradient");
    accumulator->add_post_hook(std::make_unique<ReadyHook<State>>(weak_from_this(), i));
    accumulators_.push_back(std::move(accumulator));
  }
}

void GradientReducer::State::set_borders(const std::vector<int64_t>& borders) {
  SS_CHECK(works_.empty() && !armed_, "a phase is under way");
  const bool fits = borders.size() >= 2 && borders.front() == 0 &&
                    borders.back() == offsets_.back() &&
                    std::ranges::adjacent_find(borders, std::greater_equal()) == borders.end() &&
                    std::ranges::includes(offsets_, borders);
  validate(fits,
           "the borders of the gradient buckets do not fit the network's parameters (the "
           "checkpoint is of another network?); start the stage anew");
  buckets_.clear();
  bucket_of_.assign(parameters_.size(), 0);
  seen_.assign(parameters_.size(), false);
  for (size_t b = borders.size() - 1; b-- > 0;) {
    Bucket bucket;
    bucket.begin = borders[b];
    bucket.end = borders[b + 1];
    bucket.values = gradients_.narrow(0, bucket.begin, bucket.end - bucket.begin);
    if (narrow_ && !alone_)
      bucket.wire =
          torch::empty_like(bucket.values, bucket.values.options().dtype(torch::kBFloat16));
    for (size_t i = 0; i < parameters_.size(); ++i)
      if (offsets_[i] >= bucket.begin && offsets_[i + 1] <= bucket.end) {
        bucket_of_[i] = buckets_.size();
        ++bucket.parameters;
      }
    bucket.missing = bucket.parameters;
    buckets_.push_back(std::move(bucket));
  }
}

void GradientReducer::State::ready(size_t parameter) {
  if (!armed_) return;
  // A second gradient would be added to a buffer that may be under way.
  SS_CHECK(!seen_[parameter], "two backward passes after arm()");
  seen_[parameter] = true;
  --buckets_[bucket_of_[parameter]].missing;
  while (works_.size() < buckets_.size() && buckets_[works_.size()].missing == 0) start_next();
}

void GradientReducer::State::start_next() {
  const torch::NoGradGuard no_grad;
  auto& bucket = buckets_[works_.size()];
  if (bucket.wire.defined()) bucket.wire.copy_(bucket.values);
  const auto& travels = bucket.wire.defined() ? bucket.wire : bucket.values;
  figures.bytes += static_cast<double>(travels.nbytes());
  ++figures.buckets;
  works_.push_back(world_.all_reduce_async(travels, ReduceOp::sum));
}

void GradientReducer::State::finish() {
  check_views();
  armed_ = false;
  if (alone_) return;
  const torch::NoGradGuard no_grad;
  const auto begin = std::chrono::steady_clock::now();
  while (works_.size() < buckets_.size()) start_next();
  for (size_t b = 0; b < buckets_.size(); ++b) {
    works_[b]->wait();
    if (buckets_[b].wire.defined()) buckets_[b].values.copy_(buckets_[b].wire);
  }
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
  figures.exposed += waited.count();
  for (const auto& work : works_) figures.transfer += work->seconds();
  works_.clear();
}

void GradientReducer::State::check_views() const {
  const auto* first = static_cast<const char*>(gradients_.const_data_ptr());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto& gradient = parameters_[i].grad();
    SS_CHECK(gradient.defined() &&
                 gradient.const_data_ptr() ==
                     first + static_cast<size_t>(offsets_[i]) * gradients_.element_size() &&
                 gradient.scalar_type() == gradients_.scalar_type(),
             "the gradient of parameter ", i, " has left the flat buffer");
  }
}

GradientReducer::GradientReducer(Communicator& world, const std::vector<torch::Tensor>& parameters,
                                 const torch::Tensor& gradients, const ReducerOptions& options)
    : state_(std::make_shared<State>(world, parameters, gradients, options)) {
  state_->listen();
}
GradientReducer::~GradientReducer() = default;

std::vector<int64_t> GradientReducer::borders() const { return state_->borders(); }
void GradientReducer::set_borders(const std::vector<int64_t>& borders) {
  state_->set_borders(borders);
}
void GradientReducer::begin() { state_->begin(); }
void GradientReducer::arm() { state_->arm(); }
void GradientReducer::finish() { state_->finish(); }
ReductionFigures GradientReducer::figures() const { return state_->figures; }
void GradientReducer::reset_figures() { state_->figures = {}; }

}  // namespace stylescope
