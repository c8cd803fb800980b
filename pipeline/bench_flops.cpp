#include "io/base/error.hpp"
#include "pipeline/bench_timing.hpp"

#include <atomic>
#include <string_view>

#include <ATen/record_function.h>

namespace stylescope {
namespace {

// LibTorch's callbacks are plain functions, so the sum cannot lie in the counter itself.
std::atomic<double> operations{0};
std::atomic<bool> counting{false};

// Operations for each value of the result, where that is known only when the call ends.
struct PerResult final : at::ObserverContext {
  explicit PerResult(double f) : factor(f) {}
  double factor;
};

// One of our convolutions (stages/ops/winograd), which says itself what a direct one would take;
// the products inside are not counted again.
struct Whole final : at::ObserverContext {};
thread_local int inside = 0;

double numel(const c10::IValue& value) { return static_cast<double>(value.toTensor().numel()); }

// Multiply-adds that one value of the input (transposed) or of the result takes part in: the weight
// is (O, I/groups, ...), transposed (I, O/groups, ...).
double per_value(const c10::IValue& weight) {
  const auto& tensor = weight.toTensor();
  return 2.0 * static_cast<double>(tensor.numel()) / static_cast<double>(tensor.size(0));
}

std::unique_ptr<at::ObserverContext> start(const at::RecordFunction& call) {
  const std::string_view name = call.name();
  const auto in = call.inputs();
  if (name == "stylescope::winograd") {
    operations += in[0].toDouble();
    ++inside;
    return std::make_unique<Whole>();
  }
  if (inside > 0) return nullptr;
  if (name == "aten::convolution") {  // input, weight, bias, stride, padding, dilation, transposed
    if (!in[6].toBool()) return std::make_unique<PerResult>(per_value(in[1]));
    operations += numel(in[0]) * per_value(in[1]);
  } else if (name == "aten::convolution_backward") {  // gradient, input, weight, bias, stride,
    const auto mask = in[10].toBoolList();  // padding, dilation, transposed, output padding, groups
    const double passes = (mask.get(0) ? 1 : 0) + (mask.get(1) ? 1 : 0);
    operations += passes * numel(in[in[7].toBool() ? 1 : 0]) * per_value(in[2]);
  } else if (name == "aten::mm" || name == "aten::bmm") {
    return std::make_unique<PerResult>(2.0 * static_cast<double>(in[0].toTensor().size(-1)));
  } else if (name == "aten::addmm" || name == "aten::baddbmm") {
    return std::make_unique<PerResult>(2.0 * static_cast<double>(in[1].toTensor().size(-1)));
  }
  return nullptr;
}

void end(const at::RecordFunction& call, at::ObserverContext* context) {
  if (const auto* result = dynamic_cast<PerResult*>(context))
    operations += result->factor * numel(call.outputs().front());
  else if (context)
    --inside;
}

}  // namespace

FlopCounter::FlopCounter() {
  SS_CHECK(!counting.exchange(true), "two counters at a time");
  operations = 0;
  handle_ = at::addGlobalCallback(at::RecordFunctionCallback(start, end)
                                      .needsInputs(true)
                                      .needsOutputs(true)
                                      .scopes({at::RecordScope::FUNCTION}));
}

FlopCounter::~FlopCounter() {
  at::removeCallback(handle_);
  counting = false;
}

double FlopCounter::count() const { return operations; }

}  // namespace stylescope
