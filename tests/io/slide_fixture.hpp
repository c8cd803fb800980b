#pragma once

#include "io/slide.hpp"
#include "io/tiff_pyramid.hpp"
#include "tests/io/faults.hpp"

#include <cmath>
#include <cstdint>
#include <openslide.h>
#include <string>
#include <tiffio.h>
#include <vector>

// Pyramids with something to see in every pixel, and OpenSlide without anything of ours around it.
namespace stylescope::testing_support {

struct Picture {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;
  Picture(int64_t w, int64_t h)
      : width(w), height(h), rgb(static_cast<size_t>(3 * w * h), uint8_t{77}) {}
  const uint8_t* at(int64_t x, int64_t y) const { return rgb.data() + 3 * (y * width + x); }
};

// Waves and noise; integers only, the same on every machine.
inline bool draw_texture(int64_t x, int64_t y, int64_t width, int64_t height, uint8_t* rgb) {
  for (int64_t j = y; j < y + height; ++j)
    for (int64_t i = x; i < x + width; ++i, rgb += 3) {
      uint32_t noise = static_cast<uint32_t>(i) * 2654435761U ^ static_cast<uint32_t>(j) * 40503U;
      noise = (noise ^ noise >> 15) * 2246822519U;
      const auto wave = static_cast<int>((i * i / 64 + j * 3) % 120),
                 ramp = static_cast<int>(j % 90);
      rgb[0] = static_cast<uint8_t>(100 + wave + (noise >> 28));
      rgb[1] = static_cast<uint8_t>(60 + ramp + (noise >> 24 & 15));
      rgb[2] = static_cast<uint8_t>(200 - wave / 2 + (noise >> 20 & 15));
    }
  return true;
}

inline TiffPyramidOptions pyramid(int64_t width, int64_t height, int64_t levels) {
  TiffPyramidOptions options;
  options.width = width;
  options.height = height;
  options.levels = levels;
  options.tile = 64;
  return options;
}

inline Picture read_picture_of(Slide& slide, int64_t level, int64_t x, int64_t y, int64_t width,
                               int64_t height) {
  Picture picture(width, height);
  slide.read(level, x, y, width, height, picture.rgb.data(), 3 * width);
  return picture;
}

// A bare openslide_read_region at level 0 coordinates, over white.
inline Picture bare_openslide(const std::filesystem::path& file, int32_t level, int64_t x,
                              int64_t y, int64_t width, int64_t height) {
  Picture picture(width, height);
  std::vector<uint32_t> argb(static_cast<size_t>(width * height));
  openslide_t* slide = openslide_open(file.c_str());
  openslide_read_region(slide, argb.data(), x, y, level, width, height);
  EXPECT_EQ(openslide_get_error(slide), nullptr) << openslide_get_error(slide);
  openslide_close(slide);
  for (size_t i = 0; i < argb.size(); ++i)
    for (size_t c = 0; c < 3; ++c)
      picture.rgb[3 * i + c] =
          argb[i] >> 24 == 0 ? 255 : static_cast<uint8_t>(argb[i] >> (16 - 8 * c));
  return picture;
}

// "" or where the first difference is.
inline std::string difference(const Picture& a, const Picture& b) {
  if (a.width != b.width || a.height != b.height) return "other sizes";
  for (size_t i = 0; i < a.rgb.size(); ++i)
    if (a.rgb[i] != b.rgb[i]) {
      const auto at = static_cast<int64_t>(i / 3);
      return "(" + std::to_string(at % a.width) + ", " + std::to_string(at / a.width) + ") " +
             std::to_string(a.rgb[i]) + " != " + std::to_string(b.rgb[i]);
    }
  return "";
}

inline double mean_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::abs(int{a[i]} - int{b[i]});
  return sum / static_cast<double>(a.size());
}

// Where a tile's stream lies in the file, by libtiff.
struct TilePlace {
  uint64_t offset = 0, count = 0;
};
inline TilePlace tile_place(const std::filesystem::path& file, uint16_t directory, uint32_t tile) {
  TIFF* tiff = TIFFOpen(file.c_str(), "r");
  TIFFSetDirectory(tiff, directory);
  const TilePlace place{TIFFGetStrileOffset(tiff, tile), TIFFGetStrileByteCount(tiff, tile)};
  TIFFClose(tiff);
  return place;
}

}  // namespace stylescope::testing_support
