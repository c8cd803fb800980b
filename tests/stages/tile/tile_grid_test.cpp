#include "stages/tile/tile_grid.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

TEST(TileGrid, WholeTilesOfThePhysicalSize) {
  const auto grid = tile_grid_of(1024, 768, 0.25, 0.25, 0.5, 128, 1);
  EXPECT_DOUBLE_EQ(grid.tile_x, 256);
  EXPECT_EQ(grid.columns, 4);
  EXPECT_EQ(grid.rows, 3);
  EXPECT_DOUBLE_EQ(grid.x(5), 256);
  EXPECT_DOUBLE_EQ(grid.y(5), 256);
}

TEST(TileGrid, FractionalSizesAndStrides) {
  // 0.499 um/px asked for at 0.5: a tile is 256.513... pixels, not 256 or 257.
  const auto grid = tile_grid_of(2220, 2967, 0.499, 0.499, 0.5, 256, 0.5);
  EXPECT_NEAR(grid.tile_x, 256 * 0.5 / 0.499, 1e-12);
  EXPECT_EQ(grid.columns, 16);
  EXPECT_EQ(grid.rows, 22);
  EXPECT_NEAR(grid.x(3), 3 * 128 * 0.5 / 0.499, 1e-9);
  const auto last = grid.size() - 1;
  EXPECT_LE(grid.x(last) + grid.tile_x, 2220);
  EXPECT_LE(grid.y(last) + grid.tile_y, 2967);
  EXPECT_GT(grid.x(last) + grid.tile_x + grid.stride_x, 2220);
}

TEST(TileGrid, PixelsThatAreNotSquare) {
  const auto grid = tile_grid_of(1000, 1000, 0.5, 0.25, 0.5, 100, 1);
  EXPECT_DOUBLE_EQ(grid.tile_x, 100);
  EXPECT_DOUBLE_EQ(grid.tile_y, 200);
  EXPECT_EQ(grid.columns, 10);
  EXPECT_EQ(grid.rows, 5);
}

TEST(TileGrid, ATileThatJustFitsCountsAndASmallSlideHasNone) {
  // 3 x 0.7 / 0.1 is 20.999999999999996 in floating point.
  EXPECT_EQ(tile_grid_of(21, 21, 0.1, 0.1, 0.7, 1, 1).columns, 3);
  EXPECT_EQ(tile_grid_of(63, 64, 0.5, 0.5, 0.5, 64, 1).size(), 0);
  EXPECT_EQ(tile_grid_of(64, 64, 0.5, 0.5, 0.5, 64, 1).size(), 1);
}

}  // namespace
}  // namespace stylescope
