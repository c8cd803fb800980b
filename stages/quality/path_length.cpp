#include "stages/quality/path_length.hpp"

#include "io/base/error.hpp"
#include "stages/latent/batches.hpp"

#include <cmath>

namespace stylescope {

double mean_without_tails(const torch::Tensor& distances) {
  const auto n = distances.numel();
  SS_CHECK(n > 0);
  const auto last = static_cast<double>(n - 1);
  const auto sorted = std::get<0>(distances.to(torch::kDouble).sort());
  const auto low = static_cast<int64_t>(std::floor(0.01 * last)),
             high = static_cast<int64_t>(std::ceil(0.99 * last));
  return sorted.slice(0, low, high + 1).mean().item<double>();
}

double path_length(GeneratedImages& source, FeatureNetwork& network, int64_t samples, int64_t batch,
                   RunContext& context) {
  constexpr double kEpsilon = 1e-4;
  std::vector<torch::Tensor> mine{torch::empty({0}, torch::kDouble)};
  for_each_batch(context, "quality: path lengths", samples, batch, [&](IndexRange part) {
    const auto [from, to] = source.steps_in_w(indices_of(part), kEpsilon);
    mine.push_back(network.squared_distances(from, to) / (kEpsilon * kEpsilon));
  });
  return mean_without_tails(gather_rows(context.world, torch::cat(mine)));
}

}  // namespace stylescope
