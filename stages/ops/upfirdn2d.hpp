#pragma once

#include <cstdint>
#include <optional>

#include <torch/types.h>

// Pad, upsample, FIR-filter and downsample in one pass, and the resampling recipes of StyleGAN2
// made of it (Karras et al. 2019, "Analyzing and Improving the Image Quality of StyleGAN", appendix
// B; Karras et al. 2021).
namespace stylescope {

// An integer factor per axis; one number means both.
struct Factor {
  int64_t x = 1, y = 1;
  constexpr Factor(int64_t both = 1) : x(both), y(both) {}
  constexpr Factor(int64_t fx, int64_t fy) : x(fx), y(fy) {}
};

// Zeros added left, right, above and below, counted in pixels after zero insertion; negative values
// crop.
struct Padding {
  int64_t x0 = 0, x1 = 0, y0 = 0, y1 = 0;
  static constexpr Padding all(int64_t p) { return {p, p, p, p}; }
};

struct FilterOptions {
  bool normalize = true;          // taps sum to 1 (before the gain)
  bool flip = false;              // mirror the taps
  double gain = 1;                // of the whole 2-D filter
  std::optional<bool> separable;  // keep one row of taps; unset: when there are 8 or more
};

// Filter from its taps: [f] (turned into [f,f] by an outer product unless kept separable), [fh,fw],
// or a single number [1,1]; undefined stands for the identity [1,1]. The result has the dtype and
// device of `taps`.
torch::Tensor setup_filter(const torch::Tensor& taps, const FilterOptions& options = {});

// The [4,4] filter of StyleGAN2: setup_filter of [1,3,3,1], float32 on the CPU (its values are
// exact in any dtype).
torch::Tensor default_filter();

// y of shape [N, C, H', W'] with H' = (H*up.y + pad.y0 + pad.y1 - fh) / down.y + 1 (rounded down),
// W' likewise:
//   1. insert up-1 zeros after every sample;  2. pad or crop;
//   3. true convolution with `filter` (cross-correlation when `flip`), its taps times `gain` in
//   their own precision;  4. keep every down-th sample.
// x: [N,C,H,W], floating, NCHW or channels_last (the result keeps that), any device. filter:
// [fh,fw], [f] (used along both axes), or undefined (identity); a constant: it gets no gradient.
// Differentiable in x to any order. On the CPU in float32, float64 and bfloat16 the result does not
// depend on the number of threads. Throws Error if the padded image is smaller than the filter.
torch::Tensor upfirdn2d(const torch::Tensor& x, const torch::Tensor& filter, Factor up = 1,
                        Factor down = 1, Padding pad = {}, bool flip = false, double gain = 1);

// Image to H*up x W*up (for pad = 0): zero insertion and `filter` with gain up.x*up.y*gain,
// centred.
torch::Tensor upsample2d(const torch::Tensor& x, const torch::Tensor& filter, Factor up = 2,
                         Padding pad = {}, bool flip = false, double gain = 1);

// Image to H/down x W/down (for pad = 0): `filter`, centred, then every down-th sample.
torch::Tensor downsample2d(const torch::Tensor& x, const torch::Tensor& filter, Factor down = 2,
                           Padding pad = {}, bool flip = false, double gain = 1);

// Image of the same size (for pad = 0), filtered.
torch::Tensor filter2d(const torch::Tensor& x, const torch::Tensor& filter, Padding pad = {},
                       bool flip = false, double gain = 1);

// The same function as upfirdn2d in plain LibTorch operations (zero insertion, padding, depthwise
// convolution): what runs on other devices than the CPU, and the independent reference of the
// tests.
torch::Tensor upfirdn2d_plain(const torch::Tensor& x, const torch::Tensor& filter, Factor up = 1,
                              Factor down = 1, Padding pad = {}, bool flip = false,
                              double gain = 1);

}  // namespace stylescope
