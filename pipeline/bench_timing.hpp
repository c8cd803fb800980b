#pragma once

#include "pipeline/launch.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include <torch/torch.h>

// What the benchmarks share: clocks, the limits of the machine, comparison of results, and a count
// of the arithmetic that ran.
namespace stylescope {

// Seconds since some fixed point, once the device has done what it was given.
double device_clock(torch::Device device);
double median(std::vector<double> values);

struct Timing {
  double median = 0, fastest = 0;  // seconds of one call on this rank
  int64_t calls = 0;
};

// What to time; `before` and `after` run around every call, outside of the clock (both may be
// empty).
struct Timed {
  std::function<void()> body;
  std::function<void()> before, after;
};
// Two calls to warm up, then about `seconds` of calls, at least 3; the same number on every rank.
// Collective.
Timing measure(const Launch& at, double seconds, const Timed& timed);
// The same of several bodies in turn, so that what else the machine does meets all of them.
std::vector<Timing> measure_in_turn(const Launch& at, double seconds,
                                    const std::vector<Timed>& timed);

// The median of the slowest rank.
double slowest(const Launch& at, const Timing& timing);

// Limits, all ranks at once and added up: the best of many calls.
double copy_rate(const Launch& at, double seconds);    // bytes read + bytes written a second
double matmul_rate(const Launch& at, double seconds);  // floating-point operations a second
// Of 3x3 convolutions of 128 channels (channels_last on the CPU), as LibTorch computes them;
// `type`: of the images.
double convolution_rate(const Launch& at, torch::Dtype type, double seconds);
double matmul_rate(const Launch& at, torch::Dtype type, double seconds);

// The most that this process has held, bytes.
double peak_memory();

// How many values are not finite or differ from the reference by more than a share of its largest:
// 0 stands for 1e-4 (float64: 1e-10).
int64_t count_wrong(const torch::Tensor& values, const torch::Tensor& reference, double share = 0);
// Sum over the ranks.
int64_t total(const Launch& at, int64_t count);

// Counts the floating-point operations of convolutions and matrix products, forward and backward,
// from the shapes of those that run while it lives, on any thread (a multiply-add is two). One at a
// time; it slows the program down.
class FlopCounter {
 public:
  FlopCounter();
  ~FlopCounter();
  FlopCounter(const FlopCounter&) = delete;
  FlopCounter& operator=(const FlopCounter&) = delete;
  double count() const;

 private:
  uint64_t handle_;
};

}  // namespace stylescope
