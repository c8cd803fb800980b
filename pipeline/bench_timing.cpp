#include "pipeline/bench_timing.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <sys/resource.h>

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
  return measure_in_turn(at, seconds, {timed}).front();
}

std::vector<Timing> measure_in_turn(const Launch& at, double seconds,
                                    const std::vector<Timed>& timed) {
  std::vector<std::vector<double>> taken(timed.size());
  const auto round = [&] {
    for (size_t i = 0; i < timed.size(); ++i) {
      if (timed[i].before) timed[i].before();
      const double begin = device_clock(at.device);
      timed[i].body();
      taken[i].push_back(device_clock(at.device) - begin);
      if (timed[i].after) timed[i].after();
    }
  };
  round();
  const double begin = device_clock(at.device);
  round();
  // With what surrounds a call, and agreed on by all: the body may be collective.
  const double once = at.world.all_reduce(device_clock(at.device) - begin, ReduceOp::max);
  const auto calls = static_cast<int64_t>(std::clamp(seconds / std::max(once, 1e-9), 3.0, 1e5));
  for (auto& times : taken) times.clear();
  for (int64_t i = 0; i < calls; ++i) round();
  std::vector<Timing> timings;
  for (const auto& times : taken)
    timings.push_back({median(times), *std::min_element(times.begin(), times.end()), calls});
  return timings;
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

double matmul_rate(const Launch& at, double seconds) { return matmul_rate(at, at.dtype, seconds); }

double matmul_rate(const Launch& at, torch::Dtype type, double seconds) {
  const int64_t n = at.device.is_cuda() ? 4096 : 1024;
  const auto options = torch::dtype(type).device(at.device);
  const auto a = torch::full({n, n}, 0.5, options), b = torch::full({n, n}, 2.0, options);
  auto product = torch::zeros({n, n}, options);
  const auto timing = measure(at, seconds, {[&] { torch::mm_out(product, a, b); }, {}, {}});
  SS_CHECK((product == static_cast<double>(n)).all().item<bool>());
  const auto side = static_cast<double>(n);
  return at.world.all_reduce(2.0 * side * side * side / timing.fastest);
}

double convolution_rate(const Launch& at, torch::Dtype type, double seconds) {
  const int64_t n = at.device.is_cuda() ? 32 : 2, channels = 128, side = 32;
  const auto options = torch::dtype(type).device(at.device);
  const auto format =
      at.device.is_cpu() ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
  const auto x = torch::ones({n, channels, side, side}, options).contiguous(format);
  const auto weight = torch::full({channels, channels, 3, 3}, 0.5, options);
  const torch::NoGradGuard no_grad;
  torch::Tensor y;
  const auto timing =
      measure(at, seconds, {[&] { y = torch::conv2d(x, weight, {}, 1, 1); }, {}, {}});
  SS_CHECK(y[0][0][1][1].item<double>() == 0.5 * 9 * static_cast<double>(channels));
  const auto operations = 2.0 * static_cast<double>(y.numel()) * 9 * static_cast<double>(channels);
  return at.world.all_reduce(operations / timing.fastest);
}

double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);  // of Linux: KiB
}

int64_t count_wrong(const torch::Tensor& values, const torch::Tensor& reference, double share) {
  const torch::NoGradGuard no_grad;
  if (values.sizes() != reference.sizes()) return std::max<int64_t>(values.numel(), 1);
  if (share == 0) share = values.scalar_type() == torch::kFloat64 ? 1e-10 : 1e-4;
  const double bound = share * reference.abs().max().item<double>();
  // Negated, so that NaN counts.
  return ((values - reference).abs() <= bound).logical_not().sum().item<int64_t>();
}

int64_t total(const Launch& at, int64_t count) {
  return std::llround(at.world.all_reduce(static_cast<double>(count)));
}

}  // namespace stylescope
