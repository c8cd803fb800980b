#include "stages/ops/upfirdn2d.hpp"
#include "stages/ops/upfirdn2d_kernel.hpp"

#include <cmath>

#include <torch/torch.h>

namespace stylescope {
namespace {

torch::Tensor insert_zeros(const torch::Tensor& x, Factor up) {
  if (up.x == 1 && up.y == 1) return x;
  const auto n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const auto spread =
      torch::constant_pad_nd(x.reshape({n, c, h, 1, w, 1}), {0, up.x - 1, 0, 0, 0, up.y - 1});
  return spread.reshape({n, c, h * up.y, w * up.x});
}

torch::Tensor depthwise(const torch::Tensor& x, const torch::Tensor& filter,
                        at::IntArrayRef stride) {
  const auto kernel = filter.expand({x.size(1), 1, filter.size(0), filter.size(1)});
  return torch::conv2d(x, kernel, {}, stride, at::IntArrayRef{0, 0}, 1, x.size(1));
}

}  // namespace

torch::Tensor upfirdn2d_plain(const torch::Tensor& x, const torch::Tensor& filter, Factor up,
                              Factor down, Padding pad, bool flip, double gain) {
  auto f = detail::filter_with_gain(filter, gain, x).to(x.device(), x.scalar_type());
  detail::upfirdn_size(x, f, {up, down, pad, flip});
  if (!flip) f = f.flip(f.dim() == 1 ? std::vector<int64_t>{0} : std::vector<int64_t>{0, 1});
  const auto padded = torch::constant_pad_nd(insert_zeros(x, up), {pad.x0, pad.x1, pad.y0, pad.y1});
  torch::Tensor y;
  if (f.dim() == 1)
    y = depthwise(depthwise(padded, f.unsqueeze(0), {1, down.x}), f.unsqueeze(1), {down.y, 1});
  else
    y = depthwise(padded, f, {down.y, down.x});
  return y.contiguous(x.suggest_memory_format());
}

}  // namespace stylescope
