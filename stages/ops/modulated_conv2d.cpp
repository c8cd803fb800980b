#include "stages/ops/modulated_conv2d.hpp"

#include "io/base/error.hpp"
#include "stages/ops/conv2d_resample.hpp"
#include "stages/ops/scaled_act.hpp"

#include <torch/torch.h>

namespace stylescope {

torch::Tensor scaled_conv2d(const torch::Tensor& x, const torch::Tensor& weight,
                            const torch::Tensor& styles, int64_t up, const torch::Tensor& filter) {
  SS_CHECK(x.dim() == 4 && weight.dim() == 4 && weight.size(1) == x.size(1), x.sizes(), " and ",
           weight.sizes());
  SS_CHECK(styles.dim() == 2 && styles.size(0) == x.size(0) && styles.size(1) == x.size(1),
           styles.sizes());
  const auto image = x.is_cpu() ? x.contiguous(torch::MemoryFormat::ChannelsLast) : x;
  return conv2d_resample(scale_channels(image, styles), weight.to(x.scalar_type()), filter, up, 1,
                         Padding::all(weight.size(2) / 2), /*correlate=*/up == 1);
}

torch::Tensor demodulation(const torch::Tensor& weight, const torch::Tensor& styles) {
  // sum over i,k of (w_oik s_ni)^2 needs no weights per sample: it is a product of two matrices.
  const auto energy = torch::mm(styles.square(), weight.square().sum({2, 3}).t());
  return (energy + 1e-8).rsqrt();
}

torch::Tensor modulated_conv2d(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& styles, const torch::Tensor& noise, int64_t up,
                               const torch::Tensor& filter, bool demodulate) {
  auto y = scaled_conv2d(x, weight, styles, up, filter);
  // Noise and coefficients may be of a longer type than the image: rounded once, at the end.
  const auto type = x.scalar_type();
  if (!demodulate) return noise.defined() ? (y + noise).to(type) : y;
  const auto scale = demodulation(weight, styles);
  if (!noise.defined()) return scale_channels(y, scale);
  return torch::addcmul(noise, y, scale.reshape({y.size(0), y.size(1), 1, 1})).to(type);
}

torch::Tensor modulated_conv2d_plain(const torch::Tensor& x, const torch::Tensor& weight,
                                     const torch::Tensor& styles, const torch::Tensor& noise,
                                     int64_t up, const torch::Tensor& filter, bool demodulate,
                                     bool grouped) {
  const int64_t n = x.size(0), in = weight.size(1), out = weight.size(0);
  const auto padding = Padding::all(weight.size(2) / 2);
  const bool correlate = up == 1;
  const auto type = x.scalar_type();
  torch::Tensor weights, scale;  // (N, O, I, k, k), (N, O)
  if (demodulate || grouped) weights = weight.unsqueeze(0) * styles.reshape({n, 1, in, 1, 1});
  if (demodulate) scale = (weights.square().sum({2, 3, 4}) + 1e-8).rsqrt();
  torch::Tensor y;
  if (grouped) {
    if (demodulate) weights = weights * scale.reshape({n, out, 1, 1, 1});
    y = conv2d_resample_plain(x.reshape({1, n * in, x.size(2), x.size(3)}),
                              weights.flatten(0, 1).to(type), filter, up, 1, padding, correlate, n);
    y = y.reshape({n, out, y.size(2), y.size(3)});
  } else {
    y = conv2d_resample_plain(x * styles.to(type).reshape({n, in, 1, 1}), weight.to(type), filter,
                              up, 1, padding, correlate);
    if (demodulate) y = y * scale.to(type).reshape({n, out, 1, 1});
  }
  return noise.defined() ? y + noise.to(type) : y;
}

}  // namespace stylescope
