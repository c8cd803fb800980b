#include "stages/tile/tile_grid.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

// A tile that ends on the slide's last pixel counts, however its corner was rounded.
int64_t count(int64_t extent, double tile, double stride) {
  const double slack = static_cast<double>(extent) - tile;
  return slack < -1e-6 ? 0
                       : static_cast<int64_t>(std::floor(std::max(slack, 0.0) / stride + 1e-9)) + 1;
}

}  // namespace

TileGrid tile_grid_of(int64_t width, int64_t height, double mpp_x, double mpp_y, double mpp,
                      int64_t tile_px, double stride) {
  TileGrid grid;
  grid.tile_x = static_cast<double>(tile_px) * mpp / mpp_x;
  grid.tile_y = static_cast<double>(tile_px) * mpp / mpp_y;
  grid.stride_x = stride * grid.tile_x;
  grid.stride_y = stride * grid.tile_y;
  grid.columns = count(width, grid.tile_x, grid.stride_x);
  grid.rows = count(height, grid.tile_y, grid.stride_y);
  return grid;
}

}  // namespace stylescope
