#include "stages/metrics/kernel_distance.hpp"

#include "distributed/random.hpp"
#include "distributed/work_partition.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <limits>
#include <string_view>

namespace stylescope {
namespace {

torch::Tensor kernel(const torch::Tensor& x, const torch::Tensor& y) {
  return (x.matmul(y.t()) / static_cast<double>(x.size(1)) + 1).pow(3);
}

// Mean of k over the pairs of different samples.
torch::Tensor mean_of_others(const torch::Tensor& x) {
  const auto k = kernel(x, x);
  const auto n = static_cast<double>(x.size(0));
  return (k.sum() - k.diagonal().sum()) / (n * (n - 1));
}

torch::Tensor subset(const torch::Tensor& features, std::string_view purpose, int64_t number,
                     int64_t size, uint64_t seed) {
  const auto order = keyed_permutation({seed, purpose, number}, features.size(0));
  return features.index_select(0, order.slice(0, 0, size));
}

}  // namespace

double squared_mmd(const torch::Tensor& x, const torch::Tensor& y) {
  SS_CHECK(x.dim() == 2 && y.dim() == 2 && x.size(1) == y.size(1), x.sizes(), " and ", y.sizes());
  validate(x.size(0) >= 2 && y.size(0) >= 2, "kernel distance: of ", x.size(0), " and ", y.size(0),
           " images (at least 2 of each are needed); use more images");
  const auto a = x.to(torch::kDouble), b = y.to(torch::kDouble);
  return (mean_of_others(a) + mean_of_others(b) - 2 * kernel(a, b).mean()).item<double>();
}

KernelDistance kernel_distance(const torch::Tensor& real, const torch::Tensor& generated,
                               const KernelDistanceOptions& options, Communicator& world) {
  const int64_t smaller = std::min(real.size(0), generated.size(0));
  KernelDistance result;
  result.subset_size = std::min(options.subset_size, smaller);
  const bool all = result.subset_size == std::max(real.size(0), generated.size(0));
  result.subsets = all ? 1 : options.subsets;

  const auto mine = share_of(result.subsets, world.rank(), world.size());
  auto values = torch::zeros({result.subsets}, torch::kDouble);
  for (int64_t i = mine.begin; i < mine.end; ++i)
    values[i] = squared_mmd(
        subset(real, "quality.kernel.real", i, result.subset_size, options.seed),
        subset(generated, "quality.kernel.generated", i, result.subset_size, options.seed));
  world.all_reduce(values);  // one rank's number, and zeros
  result.mean = values.mean().item<double>();
  result.deviation = all || result.subsets < 2 ? std::numeric_limits<double>::quiet_NaN()
                                               : values.std().item<double>();
  return result;
}

}  // namespace stylescope
