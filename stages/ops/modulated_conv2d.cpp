#include "stages/ops/modulated_conv2d.hpp"

#include "io/base/error.hpp"
#include "stages/ops/conv2d_resample.hpp"

#include <torch/torch.h>

namespace stylescope {

torch::Tensor modulated_conv2d(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& styles, const torch::Tensor& noise, int64_t up,
                               const torch::Tensor& filter, bool demodulate) {
  SS_CHECK(x.dim() == 4 && weight.dim() == 4 && weight.size(1) == x.size(1), x.sizes(), " and ",
           weight.sizes());
  SS_CHECK(styles.dim() == 2 && styles.size(0) == x.size(0) && styles.size(1) == x.size(1),
           styles.sizes());
  const int64_t n = x.size(0), in = weight.size(1), out = weight.size(0);
  const auto image = x.is_cpu() ? x.contiguous(torch::MemoryFormat::ChannelsLast) : x;
  auto y = conv2d_resample(image * styles.reshape({n, in, 1, 1}), weight, filter, up, 1,
                           Padding::all(weight.size(2) / 2), /*correlate=*/up == 1);
  if (!demodulate) return noise.defined() ? y + noise : y;
  // sum over i,k of (w_oik s_ni)^2 needs no weights per sample: it is a product of two matrices.
  const auto energy = torch::mm(styles.square(), weight.square().sum({2, 3}).t());
  const auto scale = (energy + 1e-8).rsqrt().reshape({n, out, 1, 1});
  return noise.defined() ? torch::addcmul(noise, y, scale) : y * scale;
}

}  // namespace stylescope
