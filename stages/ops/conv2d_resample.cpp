#include "stages/ops/conv2d_resample.hpp"

#include "io/base/error.hpp"

#include <torch/torch.h>

namespace stylescope {
namespace {

torch::Tensor convolve(torch::Tensor x, const torch::Tensor& weight, int64_t stride, Padding pad) {
  const bool symmetric = pad.x0 == pad.x1 && pad.y0 == pad.y1 && pad.x0 >= 0 && pad.y0 >= 0;
  if (!symmetric) {
    x = torch::constant_pad_nd(x, {pad.x0, pad.x1, pad.y0, pad.y1});
    pad = {};
  }
  return torch::conv2d(x, weight, {}, stride, {pad.y0, pad.x0});
}

// The paddings that upsample2d and downsample2d would have added.
Padding with_filter(Padding pad, const torch::Tensor& filter, int64_t up, int64_t down) {
  const int64_t fh = filter.defined() ? filter.size(0) : 1,
                fw = filter.defined() ? filter.size(-1) : 1;
  const auto half = [](int64_t v) { return v >= 0 ? v / 2 : -((1 - v) / 2); };
  if (up > 1) {
    pad.x0 += half(fw + up - 1), pad.x1 += half(fw - up);
    pad.y0 += half(fh + up - 1), pad.y1 += half(fh - up);
  }
  if (down > 1) {
    pad.x0 += half(fw - down + 1), pad.x1 += half(fw - down);
    pad.y0 += half(fh - down + 1), pad.y1 += half(fh - down);
  }
  return pad;
}

}  // namespace

torch::Tensor conv2d_resample(const torch::Tensor& input, const torch::Tensor& weight,
                              const torch::Tensor& filter, int64_t up, int64_t down,
                              Padding padding, bool correlate) {
  SS_CHECK(input.dim() == 4 && weight.dim() == 4 && input.size(1) == weight.size(1), input.sizes(),
           " and ", weight.sizes());
  SS_CHECK(up >= 1 && down >= 1);
  const int64_t kh = weight.size(2), kw = weight.size(3);
  auto pad = with_filter(padding, filter, up, down);
  // On the CPU convolutions are faster in channels_last, transposed ones about twice (1.1 to 2
  // measured).
  const auto x = input.is_cpu() ? input.contiguous(torch::MemoryFormat::ChannelsLast) : input;
  const auto kernel = [&](bool as_is) { return as_is ? weight : weight.flip({2, 3}); };
  const auto up_gain = static_cast<double>(up * up);
  const bool pointwise = kh == 1 && kw == 1;

  if (up == 1 && down == 1) return convolve(x, kernel(correlate), 1, pad);
  if (up == 1 && pointwise) return convolve(upfirdn2d(x, filter, 1, down, pad), weight, 1, {});
  if (up == 1) return convolve(upfirdn2d(x, filter, 1, 1, pad), kernel(correlate), down, {});
  if (down == 1 && pointwise)
    return upfirdn2d(convolve(x, weight, 1, {}), filter, up, 1, pad, false, up_gain);

  // A transposed convolution inserts the zeros itself and is full: it pads by k-1 (less the zeros
  // that it does not insert at the end), and the filter, which commutes with it, pads the rest.
  auto y = torch::conv_transpose2d(x, kernel(!correlate).transpose(0, 1), {}, up);
  pad.x0 -= kw - 1, pad.x1 -= kw - up;
  pad.y0 -= kh - 1, pad.y1 -= kh - up;
  y = upfirdn2d(y, filter, 1, 1, pad, false, up_gain);
  return down > 1 ? upfirdn2d(y, filter, 1, down) : y;
}

}  // namespace stylescope
