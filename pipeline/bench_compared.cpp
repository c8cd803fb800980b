#include "pipeline/bench_compared.hpp"

#include "pipeline/bench_timing.hpp"

#include <algorithm>

namespace stylescope {

std::vector<Operations> operations_of(Compared compared) {
  switch (compared) {
    case Compared::fast:
      return {Operations::fast};
    case Compared::reference:
      return {Operations::reference};
    case Compared::both:
      break;
  }
  return {Operations::fast, Operations::reference};
}

std::optional<torch::Dtype> half_with(Operations operations, std::optional<torch::Dtype> half,
                                      const Launch& at) {
  return operations == Operations::reference && at.device.is_cpu() ? std::nullopt : half;
}

Limits::Limits(const Launch& at, torch::Dtype type, double seconds)
    : matmul(matmul_rate(at, type, seconds)), convolution(convolution_rate(at, type, seconds)) {}

double Limits::peak() const { return std::max(matmul, convolution); }

nlohmann::ordered_json Limits::to_json() const {
  return {{"matmul_GFLOP/s", matmul / 1e9}, {"convolution_GFLOP/s", convolution / 1e9}};
}

nlohmann::ordered_json comparison_facts(int64_t resolution, std::optional<torch::Dtype> half,
                                        const Launch& at) {
  return {{"resolution", resolution},
          {"dtype", type_name(half.value_or(at.dtype))},
          {"threads", at.threads}};
}

std::vector<BenchColumn> comparison_columns(const std::string& what) {
  return {{"name", what, ""},
          {"images_per_second", "rate", "images/s"},
          {"reference_images_per_second", "reference", "images/s"},
          {"ratio", "ratio", "x"},
          {"share_of_peak", "of peak", ""},
          {"peak_memory", "peak memory", "GB"}};
}

void compare_rates(nlohmann::ordered_json& row, const ComparedTimes& times) {
  for (const char* key :
       {"images_per_second", "reference_images_per_second", "ratio", "share_of_peak"})
    row[key] = nullptr;
  row["peak_memory"] = peak_memory() / 1e9;
  const auto [images, seconds, reference, least] = times;
  if (reference > 0) row["reference_images_per_second"] = images / reference;
  if (seconds <= 0) return;
  row["images_per_second"] = images / seconds;
  row["share_of_peak"] = least / seconds;
  if (reference > 0) row["ratio"] = reference / seconds;
}

}  // namespace stylescope
