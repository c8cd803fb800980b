#pragma once

#include "io/base/fields.hpp"

#include <cstdint>
#include <string>

// What a tile's own pixels say of its fitness. Shares of the pixels, 0..1, but for focus.
namespace stylescope {

struct TileQuality {
  double white = 0;  // bright and colourless: glass
  double black = 0;  // scanner's padding, folds' shadows
  double pen =
      0;  // marker ink: blue, green or red beyond what a stain gives, or flat black strokes
  double focus =
      0;  // variance of the Laplacian of the grey image (grey levels squared); low: blurred
};

struct QualityConfig {
  double white_level = 220;  // darkest channel at least this: white
  double black_level = 30;   // brightest channel at most this: black
  double max_white = 0.8, max_black = 0.1, max_pen = 0.1;
  double min_focus = 0;  // 0: blur is measured, and nothing is dropped for it
  void describe(Fields& f);
};

// planar (3, height, width) uint8 RGB. From any thread.
TileQuality measure_quality(const uint8_t* planar, int64_t width, int64_t height,
                            const QualityConfig& config);

// "" when it passes, else the first reason: "white", "black", "pen", "blur".
std::string drop_reason(const TileQuality& quality, const QualityConfig& config);

}  // namespace stylescope
