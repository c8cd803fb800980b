#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

// Writes tiled pyramidal TIFFs that OpenSlide opens (format "generic-tiff"; with an Aperio
// description "aperio").
namespace stylescope {

struct TiffPyramidOptions {
  int64_t width = 0, height = 0;
  int64_t tile = 256;            // a multiple of 16
  int64_t levels = 0;            // 0: halved until a level fits into one or two tiles
  int64_t factor = 2;            // from level to level
  int quality = 85;              // of the JPEG tiles
  bool subsample = true;         // 4:2:0
  bool rgb_photometric = false;  // store RGB components, not YCbCr
  std::optional<double> mpp;     // written as resolution per centimetre
  std::string
      description;  // ImageDescription; one that begins with "Aperio" makes it an Aperio file
  bool skip_empty = false;  // tiles for which `draw` returns false are stored with zero length
};

// Fills interleaved RGB (height rows of 3 * width bytes) with the rectangle at (x, y) of level 0;
// false: nothing is there.
using DrawRegion =
    std::function<bool(int64_t x, int64_t y, int64_t width, int64_t height, uint8_t* rgb)>;

// Level 0 is drawn tile by tile on `threads` threads; each further level is the mean of factor x
// factor pixels of the one before, rounded to nearest. Written beside and renamed. Throws Error.
void write_tiff_pyramid(const std::filesystem::path& file, const TiffPyramidOptions& options,
                        const DrawRegion& draw, int64_t threads = 1);

}  // namespace stylescope
