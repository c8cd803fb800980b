#pragma once

#include "io/jpeg_codec.hpp"
#include "io/slide.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

// Where the tiles of a TIFF slide lie, so that any thread can read them by itself.
namespace stylescope {

// One stored level: a grid of JPEG streams.
struct TiffLevel {
  int64_t width = 0, height = 0;  // pixels of the picture
  int64_t tile_width = 0, tile_height = 0;
  int64_t across = 0, down = 0;           // tiles
  std::vector<uint64_t> offsets, counts;  // a tile, row by row; count 0: nothing is there
  std::string tables;                     // JPEG tables shared by all tiles; may be empty
  JpegColor color = JpegColor::ycbcr;
};

// The directories that OpenSlide 3.4.1 takes as the levels of `slide` (formats aperio,
// generic-tiff and philips), in its order. Empty, and the reason in `why_not`: the file is not of
// the kind that can be read directly with the same pixels. Throws nothing for damaged directories:
// they are a reason too.
std::vector<TiffLevel> read_tiff_index(const Slide& slide, std::string& why_not);

}  // namespace stylescope
