#include "pipeline/bench_timing.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {

double device_clock(torch::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

double median(std::vector<double> values) {
  SS_CHECK(!values.empty());
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Timing measure(const Launch& at, double seconds, const Timed& timed) {
  const auto call = [&] {
    if (timed.before) timed.before();
    const double begin = device_clock(at.device);
    timed.body();
    const double taken = device_clock(at.device) - begin;
    if (timed.after) timed.after();
    return taken;
  };
  call();
  const double begin = device_clock(at.device);
  call();
  // With what surrounds a call, and agreed on by all: the body may be collective.
  const double once = at.world.all_reduce(device_clock(at.device) - begin, ReduceOp::max);
  const auto calls = static_cast<int64_t>(std::clamp(seconds / std::max(once, 1e-9), 3.0, 1e5));
  std::vector<double> taken;
  for (int64_t i = 0; i < calls; ++i) taken.push_back(call());
  return {median(taken), *std::min_element(taken.begin(), taken.end()), calls};
}

double slowest(const Launch& at, const Timing& timing) {
  return at.world.all_reduce(timing.median, ReduceOp::max);
}

double copy_rate(const Launch& at, double seconds) {
  // 64 MiB: no cache of a core holds it.
  const auto from = torch::ones({64 << 20}, torch::dtype(torch::kUInt8).device(at.device));
  auto to = torch::zeros_like(from);
  const auto timing = measure(at, seconds, {[&] { to.copy_(from); }, {}, {}});
  SS_CHECK(torch::equal(from, to));
  return at.world.all_reduce(2.0 * static_cast<double>(from.numel()) / timing.fastest);
}

double matmul_rate(const Launch& at, double seconds) {
  const int64_t n = at.device.is_cuda() ? 4096 : 1024;
  const auto options = torch::dtype(at.dtype).device(at.device);
  const auto a = torch::full({n, n}, 0.5, options), b = torch::full({n, n}, 2.0, options);
  auto product = torch::zeros({n, n}, options);
  const auto timing = measure(at, seconds, {[&] { torch::mm_out(product, a, b); }, {}, {}});
  SS_CHECK((product == static_cast<double>(n)).all().item<bool>());
  const auto side = static_cast<double>(n);
  return at.world.all_reduce(2.0 * side * side * side / timing.fastest);
}

int64_t count_wrong(const torch::Tensor& values, const torch::Tensor& reference) {
  const torch::NoGradGuard no_grad;
  if (values.sizes() != reference.sizes()) return std::max<int64_t>(values.numel(), 1);
  const double share = values.scalar_type() == torch::kFloat64 ? 1e-10 : 1e-4;
  const double bound = share * reference.abs().max().item<double>();
  // Negated, so that NaN counts.
  return ((values - reference).abs() <= bound).logical_not().sum().item<int64_t>();
}

int64_t total(const Launch& at, int64_t count) {
  return std::llround(at.world.all_reduce(static_cast<double>(count)));
}

}  // namespace stylescope
