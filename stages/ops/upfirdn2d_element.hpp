#pragma once

#include "stages/ops/host_device.hpp"

#include <cstdint>

namespace stylescope::detail {

// One axis of upfirdn2d: sizes in pixels, pad: zeros before the first sample after zero insertion.
struct UpfirdnAxis {
  int64_t in, out, up, down, pad, taps;
};

// x: any strides (in values). y: dense, [N,C,H,W] or, channels_last, [N,H,W,C] in memory.
// filter: [y.taps, x.taps], contiguous.
struct UpfirdnShape {
  int64_t batch, channels;
  UpfirdnAxis x, y;
  int64_t stride_n, stride_c, stride_y, stride_x;  // of the input
  bool channels_last;                              // the output's memory
  bool flip;                                       // taps in the order of cross-correlation
};

// The taps that meet samples for output `o`: tap, tap + up, ... meets sample, sample + 1, ...,
// `count` of them.
template <class Index>
struct UpfirdnReach {
  Index tap, sample, count;
};

template <class Index>
STYLESCOPE_HD UpfirdnReach<Index> upfirdn2d_reach(const UpfirdnAxis& axis, Index o) {
  const auto up = static_cast<Index>(axis.up), taps = static_cast<Index>(axis.taps);
  const Index start = o * static_cast<Index>(axis.down) - static_cast<Index>(axis.pad);
  Index tap = (up - start % up) % up;  // start % up lies in (-up, up)
  Index sample = (start + tap) / up;   // exact
  if (sample < 0) {
    tap -= sample * up;
    sample = 0;
  }
  Index count = tap < taps ? (taps - tap + up - 1) / up : 0;
  const Index left = static_cast<Index>(axis.in) - sample;
  if (count > left) count = left > 0 ? left : 0;
  return {tap, sample, count};
}

// Value i of y, counted in the order of memory. Index: int32_t where all counts of values fit in
// half of its range, or int64_t.
template <class T, class Index>
STYLESCOPE_HD T upfirdn2d_element(const T* x, const Accumulate<T>* filter, const UpfirdnShape& s,
                                  Index i) {
  const auto width = static_cast<Index>(s.x.out), height = static_cast<Index>(s.y.out),
             channels = static_cast<Index>(s.channels);
  Index n, c, oy, ox;
  if (s.channels_last) {
    c = i % channels, i /= channels;
    ox = i % width, i /= width;
    oy = i % height, n = i / height;
  } else {
    ox = i % width, i /= width;
    oy = i % height, i /= height;
    c = i % channels, n = i / channels;
  }
  const auto row = upfirdn2d_reach<Index>(s.y, oy), column = upfirdn2d_reach<Index>(s.x, ox);
  const auto stride_y = static_cast<Index>(s.stride_y), stride_x = static_cast<Index>(s.stride_x),
             taps_y = static_cast<Index>(s.y.taps), taps_x = static_cast<Index>(s.x.taps);
  x += n * s.stride_n + c * s.stride_c + row.sample * s.stride_y + column.sample * s.stride_x;
  Accumulate<T> sum = 0;
  for (Index j = 0; j < row.count; ++j) {
    const Index ky = row.tap + j * static_cast<Index>(s.y.up);
    const auto* taps = filter + (s.flip ? ky : taps_y - 1 - ky) * taps_x;
    for (Index k = 0; k < column.count; ++k) {
      const Index kx = column.tap + k * static_cast<Index>(s.x.up);
      sum += taps[s.flip ? kx : taps_x - 1 - kx] *
             static_cast<Accumulate<T>>(x[j * stride_y + k * stride_x]);
    }
  }
  return static_cast<T>(sum);
}

}  // namespace stylescope::detail
