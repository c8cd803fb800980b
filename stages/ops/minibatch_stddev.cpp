#include "stages/ops/minibatch_stddev.hpp"

#include "io/base/error.hpp"

#include <algorithm>

#include <torch/torch.h>

namespace stylescope {

torch::Tensor minibatch_stddev(const torch::Tensor& x, int64_t group, int64_t channels) {
  SS_CHECK(x.dim() == 4 && group >= 1 && channels >= 1, x.sizes());
  const int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const int64_t g = std::min(group, n);
  validate(n % g == 0, "a batch of ", n, " does not divide into groups of ", g,
           " (the standard deviation over the batch is taken in equal groups); choose a batch size "
           "that does");
  validate(c % channels == 0, c, " feature maps do not divide into ", channels,
           " parts (one standard deviation is taken of each); choose a divisor");
  // Sample i = member * (n/g) + group.
  const auto members = x.reshape({g, n / g, channels, c / channels, h, w});
  const auto deviation = (members - members.mean(0, true)).square().mean(0).add(1e-8).sqrt();
  const auto statistic = deviation.mean({2, 3, 4}).reshape({1, n / g, channels});
  const auto maps = statistic.expand({g, n / g, channels})
                        .reshape({n, channels, 1, 1})
                        .expand({n, channels, h, w});
  return torch::cat({x, maps}, 1);
}

}  // namespace stylescope
