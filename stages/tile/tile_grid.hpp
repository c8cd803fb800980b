#pragma once

#include <cstdint>

// Where tiles lie on a slide, by physical size.
namespace stylescope {

struct TileGrid {
  double tile_x = 0, tile_y = 0;      // sides of a tile, level 0 pixels (need not be whole)
  double stride_x = 0, stride_y = 0;  // from tile to tile
  int64_t columns = 0, rows = 0;      // tiles that lie wholly within the slide

  int64_t size() const { return columns * rows; }
  // Top left corner of tile i (row by row), level 0 pixels.
  double x(int64_t i) const { return static_cast<double>(i % columns) * stride_x; }
  double y(int64_t i) const {
    const int64_t row = i / columns;
    return static_cast<double>(row) * stride_y;
  }
};

// A slide of width x height level 0 pixels of mpp_x x mpp_y micrometres; tiles of tile_px pixels of
// `mpp` micrometres, `stride` tiles apart.
TileGrid tile_grid_of(int64_t width, int64_t height, double mpp_x, double mpp_y, double mpp,
                      int64_t tile_px, double stride);

}  // namespace stylescope
