#include "pipeline/bench_profile.hpp"

#include "io/base/error.hpp"
#include "pipeline/bench_timing.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <string_view>

#include <ATen/record_function.h>

namespace stylescope {
namespace {

// LibTorch's callbacks are plain functions, so the sums cannot lie in the profile itself.
std::array<std::atomic<double>, kOperationKinds> sums{};
std::atomic<bool> profiling{false};

struct Call final : at::ObserverContext {
  OperationKind kind = OperationKind::other;
  double begin = 0, inside = 0;  // start; seconds in calls that it made
  Call* caller = nullptr;
};
thread_local Call* current = nullptr;

double now() { return device_clock(torch::kCPU); }

std::unique_ptr<at::ObserverContext> start(const at::RecordFunction& function) {
  auto call = std::make_unique<Call>();
  call->kind = operation_kind(function.name());
  call->caller = current;
  // What one of our passes calls is part of it.
  if (current && current->kind == OperationKind::winograd) call->kind = OperationKind::winograd;
  current = call.get();
  call->begin = now();
  return call;
}

void end(const at::RecordFunction&, at::ObserverContext* context) {
  auto* call = dynamic_cast<Call*>(context);
  if (!call) return;
  const double taken = now() - call->begin;
  sums[static_cast<size_t>(call->kind)] += taken - call->inside;
  if (call->caller) call->caller->inside += taken;
  current = call->caller;
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

const char* name_of(OperationKind kind) {
  constexpr std::array<const char*, kOperationKinds> names{"convolution, forward",
                                                           "convolution, backward",
                                                           "3x3 convolution by Winograd",
                                                           "matrix product",
                                                           "upfirdn2d",
                                                           "bias, activation, scaling",
                                                           "elementwise and sums",
                                                           "copies and fills",
                                                           "Adam and average",
                                                           "other"};
  return names.at(static_cast<size_t>(kind));
}

OperationKind operation_kind(const std::string& name) {
  using enum OperationKind;
  if (name == "stylescope::winograd") return winograd;
  if (name == "stylescope::upfirdn2d") return upfirdn2d;
  if (name == "stylescope::adam" || name == "aten::lerp_") return optimizer;
  if (name.starts_with("stylescope::")) return activation;
  if (!name.starts_with("aten::")) return other;
  const std::string_view op = std::string_view(name).substr(6);
  if (op.find("conv") != std::string_view::npos)
    return op.find("backward") == std::string_view::npos ? convolution_forward
                                                         : convolution_backward;
  if (is_one_of(op, {"mm", "bmm", "addmm", "baddbmm", "linear", "matmul", "mv", "dot"}))
    return matmul;
  if (is_one_of(op, {"copy_", "fill_", "zero_", "zeros", "zeros_like", "ones", "full", "clone",
                     "contiguous", "to", "_to_copy", "cat", "stack", "constant_pad_nd", "flip",
                     "index_select", "reshape", "new_zeros", "repeat"}))
    return copy;
  if (is_one_of(op, {"empty",
                     "empty_like",
                     "empty_strided",
                     "view",
                     "as_strided",
                     "transpose",
                     "t",
                     "permute",
                     "expand",
                     "unsqueeze",
                     "squeeze",
                     "narrow",
                     "slice",
                     "select",
                     "detach",
                     "flatten",
                     "unflatten",
                     "unbind",
                     "_unsafe_view",
                     "resize_",
                     "item",
                     "_local_scalar_dense",
                     "result_type",
                     "alias",
                     "expand_as",
                     "set_"}))
    return other;
  return elementwise;
}

double OperationTimes::total() const {
  return std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

OperationTimes& OperationTimes::add(const OperationTimes& more, double weight) {
  for (size_t i = 0; i < seconds.size(); ++i) seconds[i] += weight * more.seconds[i];
  return *this;
}

OperationProfile::OperationProfile() {
  SS_CHECK(!profiling.exchange(true), "two profiles at a time");
  for (auto& sum : sums) sum = 0;
  handle_ = at::addGlobalCallback(
      at::RecordFunctionCallback(start, end).scopes({at::RecordScope::FUNCTION}));
  begin_ = now();
}

OperationProfile::~OperationProfile() {
  at::removeCallback(handle_);
  profiling = false;
}

OperationTimes OperationProfile::times() const {
  OperationTimes found;
  for (size_t i = 0; i < sums.size(); ++i) found.seconds[i] = sums[i];
  const double rest = now() - begin_ - found.total();
  found.seconds[static_cast<size_t>(OperationKind::other)] += std::max(rest, 0.0);
  return found;
}

}  // namespace stylescope
