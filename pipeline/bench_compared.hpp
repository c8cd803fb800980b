#pragma once

#include "pipeline/bench.hpp"
#include "pipeline/bench_report.hpp"
#include "pipeline/launch.hpp"

#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

// What the benchmarks of networks say of our operations beside LibTorch's own
// (networks/numerics.hpp).
namespace stylescope {

// What the machine can do, of all ranks, floating-point operations a second; measured when made.
struct Limits {
  double matmul, convolution;
  Limits(const Launch& at, torch::Dtype type, double seconds);
  double peak() const;
  nlohmann::ordered_json to_json() const;
};

// What `operations` compute features in, where a half type is asked for: the reference knows it on
// GPUs alone, so that on a CPU it stays in float32.
std::optional<torch::Dtype> half_with(Operations operations, std::optional<torch::Dtype> half,
                                      const Launch& at);
// resolution, dtype (type_name), threads of a rank.
nlohmann::ordered_json comparison_facts(int64_t resolution, std::optional<torch::Dtype> half,
                                        const Launch& at);
// `what`: the first column's title (key name).
std::vector<BenchColumn> comparison_columns(const std::string& what);

struct ComparedTimes {
  double images, seconds;
  double reference_seconds;  // 0: did not run
  double least_seconds;      // at the machine's peak
};
// Adds images_per_second, reference_images_per_second, ratio, share_of_peak (null where there is no
// figure) and the process's peak_memory.
void compare_rates(nlohmann::ordered_json& row, const ComparedTimes& times);

}  // namespace stylescope
