#pragma once

#include "io/slide_mpp.hpp"
#include "stages/tile/slide_labels.hpp"
#include "stages/tile/slide_list.hpp"
#include "stages/tile/tile_grid.hpp"
#include "stages/tile/tile_quality.hpp"
#include "stages/tile/tissue_mask.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

// What is known of a slide before its tiles are read: scale, tissue, labels, and every place where
// a tile could be.
namespace stylescope {

// Why a place of the grid is, or is not, an image of the data set. In the order of the tests.
enum class TileFate : uint8_t {
  kept,
  no_tissue,   // less than min_tissue
  ambiguous,   // neither positive nor negative
  unreadable,  // the slide is damaged there
  white,
  black,
  pen,
  blur,
  not_sampled,  // enough others were taken
};
constexpr int64_t kTileFates = 9;
std::string to_string(TileFate fate);

struct TilePlace {
  double x = 0, y = 0;  // top left corner, level 0 pixels
  double tissue = 0;    // share of the tile, from the mask
  double positive = 0;  // share covered by positive outlines; NaN where the slide's class decides
  int64_t label = -1;
  bool near_border = false;
  TileFate fate = TileFate::kept;
  TileQuality quality;  // of its pixels once read; until then its share of the mask, focus NaN
};

struct SlidePlan {
  std::unique_ptr<Slide> slide;
  Mpp mpp;                                // of level 0
  double tile_mpp_x = 0, tile_mpp_y = 0;  // of the tiles
  TileGrid grid;        // sides of the tiles; its rows and columns only where there are no coords
  int64_t level = 0;    // that tiles are read from
  bool native = false;  // tiles are that level's pixels as they are
  std::vector<uint8_t> picture;  // (mask.height, mask.width, 3) RGB
  TissueMask mask;
  std::vector<uint8_t> white;  // as the mask's planes: bright in the picture
  std::vector<Shape> outlines;
  std::vector<TilePlace> places;
  std::vector<std::string> problems;
};

// Throws Error when the slide cannot be opened, has no mpp (naming the places that were asked), or
// its companions do not fit.
SlidePlan plan_slide(const ListedSlide& listed, const TileConfig& config,
                     const std::map<std::string, Mpp>& mpp);

// The same without labels: the places of the grid with their share of tissue.
SlidePlan plan_places(const ListedSlide& listed, const TileConfig& config,
                      const std::map<std::string, Mpp>& mpp);

}  // namespace stylescope
