#include "stages/ops/conv2d_resample.hpp"

#include "io/base/error.hpp"
#include "stages/ops/winograd.hpp"

#include <torch/torch.h>

namespace stylescope {
namespace {

torch::Tensor convolve(torch::Tensor x, const torch::Tensor& weight, int64_t stride, Padding pad,
                       int64_t groups) {
  const bool symmetric = pad.x0 == pad.x1 && pad.y0 == pad.y1 && pad.x0 >= 0 && pad.y0 >= 0;
  if (!symmetric) {
    x = torch::constant_pad_nd(x, {pad.x0, pad.x1, pad.y0, pad.y1});
    pad = {};
  }
  return torch::conv2d(x, weight, {}, stride, {pad.y0, pad.x0}, 1, groups);
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

// upfirdn2d or upfirdn2d_plain.
using Filtering = torch::Tensor (*)(const torch::Tensor&, const torch::Tensor&, Factor, Factor,
                                    Padding, bool, double);

// (I, O/groups, ...) of (O, I/groups, ...): what a transposed convolution takes.
torch::Tensor transposed(const torch::Tensor& weight, int64_t groups) {
  if (groups == 1) return weight.transpose(0, 1);
  return weight.unflatten(0, {groups, weight.size(0) / groups}).transpose(1, 2).flatten(0, 1);
}

torch::Tensor resample(const torch::Tensor& x, const torch::Tensor& weight,
                       const torch::Tensor& filter, int64_t up, int64_t down, Padding padding,
                       bool correlate, int64_t groups, Filtering filtered) {
  SS_CHECK(x.dim() == 4 && weight.dim() == 4 && x.size(1) == groups * weight.size(1), x.sizes(),
           " and ", weight.sizes());
  SS_CHECK(up >= 1 && down >= 1);
  const int64_t kh = weight.size(2), kw = weight.size(3);
  auto pad = with_filter(padding, filter, up, down);
  const auto kernel = [&](bool as_is) { return as_is ? weight : weight.flip({2, 3}); };
  const auto up_gain = static_cast<double>(up * up);
  const bool pointwise = kh == 1 && kw == 1;

  if (up == 1 && down == 1) return convolve(x, kernel(correlate), 1, pad, groups);
  if (up == 1 && pointwise)
    return convolve(filtered(x, filter, 1, down, pad, false, 1), weight, 1, {}, groups);
  if (up == 1)
    return convolve(filtered(x, filter, 1, 1, pad, false, 1), kernel(correlate), down, {}, groups);
  if (down == 1 && pointwise)
    return filtered(convolve(x, weight, 1, {}, groups), filter, up, 1, pad, false, up_gain);

  // A transposed convolution inserts the zeros itself and is full: it pads by k-1 (less the zeros
  // that it does not insert at the end), and the filter, which commutes with it, pads the rest.
  auto y = torch::conv_transpose2d(x, transposed(kernel(!correlate), groups), {}, up, 0, 0, groups);
  pad.x0 -= kw - 1, pad.x1 -= kw - up;
  pad.y0 -= kh - 1, pad.y1 -= kh - up;
  y = filtered(y, filter, 1, 1, pad, false, up_gain);
  return down > 1 ? filtered(y, filter, 1, down, {}, false, 1) : y;
}

}  // namespace

torch::Tensor conv2d_resample(const torch::Tensor& x, const torch::Tensor& weight,
                              const torch::Tensor& filter, int64_t up, int64_t down,
                              Padding padding, bool correlate) {
  const bool same = padding.x0 == 1 && padding.x1 == 1 && padding.y0 == 1 && padding.y1 == 1;
  if (up == 1 && down == 1 && same && correlate && winograd_suits(x, weight))
    return winograd_conv3x3(x, weight);
  // On the CPU convolutions are faster in channels_last, transposed ones about twice (1.1 to 2
  // measured).
  return resample(x.is_cpu() ? x.contiguous(torch::MemoryFormat::ChannelsLast) : x, weight, filter,
                  up, down, padding, correlate, 1, upfirdn2d);
}

torch::Tensor conv2d_resample_plain(const torch::Tensor& x, const torch::Tensor& weight,
                                    const torch::Tensor& filter, int64_t up, int64_t down,
                                    Padding padding, bool correlate, int64_t groups) {
  return resample(x.contiguous(), weight, filter, up, down, padding, correlate, groups,
                  upfirdn2d_plain);
}

}  // namespace stylescope
