#pragma once

#include <cstdint>
#include <limits>
#include <string>

// From a rectangle of a slide's level, at any fractional place and scale, to a tile: planar RGB (3,
// height, width).
namespace stylescope {

enum class ResampleFilter { area, lanczos };
ResampleFilter resample_filter(const std::string& name);  // "area" or "lanczos"

// `length` source pixels from `begin` become `pixels` tile pixels, along one axis. The source has
// pixels [source_begin, source_end): what a filter would take from beyond is left out and its other
// weights grow to a sum of 1; a tile pixel that lies beyond altogether is the nearest source pixel.
struct ResampleAxis {
  double begin = 0, length = 0;
  int64_t pixels = 0;
  int64_t source_begin = std::numeric_limits<int64_t>::min();
  int64_t source_end = std::numeric_limits<int64_t>::max();
};

// The whole source pixels that the axis takes part of: [begin, end). Edges within 1e-6 of a whole
// pixel are taken as whole.
struct SourceSpan {
  int64_t begin = 0, end = 0;
};
SourceSpan source_span(const ResampleAxis& axis, ResampleFilter filter);

// `rgb`: interleaved source pixels, its first one at (source_x, source_y), holding at least the
// spans of both axes. area: the mean over the tile pixel's footprint (box filter, exact for
// fractional edges; for enlarging it is bilinear). lanczos: a = 3, stretched by the scale when it
// makes smaller, as in Turkowski 1990. Weights sum to 1; computed in float32, rounds to nearest
// (halves up), clamps. Whole pixels at scale 1 are copied. Separable; the same bits whatever the
// thread or CPU. Scratch: 192 bytes a source column, kept by each thread.
void resample_tile(const uint8_t* rgb, int64_t stride, int64_t source_x, int64_t source_y,
                   const ResampleAxis& x, const ResampleAxis& y, ResampleFilter filter,
                   uint8_t* planar);

// Interleaved (height, width, 3) to planar (3, height, width).
void to_planar(const uint8_t* rgb, int64_t stride, int64_t width, int64_t height, uint8_t* planar);

}  // namespace stylescope
