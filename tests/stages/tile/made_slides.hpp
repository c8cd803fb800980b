#pragma once

#include "io/annotation.hpp"
#include "io/tiff_pyramid.hpp"
#include "stages/tile/tile_config.hpp"
#include "tests/support/temp_dir.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

// Slides whose every label is known: glass, a rectangle of stained tissue, and in it a rectangle of
// tumour, all on multiples of 64 pixels.
namespace stylescope::testing_support {

struct MadeRect {
  int64_t x = 0, y = 0, width = 0, height = 0;
  bool holds(int64_t px, int64_t py) const {
    return px >= x && py >= y && px < x + width && py < y + height;
  }
};

struct MadeSlide {
  int64_t width = 1024, height = 768;
  MadeRect tissue{128, 128, 640, 512};
  MadeRect tumour;  // empty: none
  double mpp = 0.5;
  uint32_t seed = 1;  // of the texture
};

// Texture that differs from place to place, by a hash; whole numbers, so every machine draws it
// alike.
inline uint8_t speckle(int64_t x, int64_t y, uint32_t seed) {
  uint32_t h = static_cast<uint32_t>(x) * 0x9E3779B1u ^ static_cast<uint32_t>(y) * 0x85EBCA77u ^
               seed * 0xC2B2AE3Du;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  return static_cast<uint8_t>((h ^ (h >> 12)) % 48);
}

inline void draw_made(const MadeSlide& slide, int64_t x0, int64_t y0, int64_t w, int64_t h,
                      uint8_t* rgb) {
  for (int64_t y = y0; y < y0 + h; ++y)
    for (int64_t x = x0; x < x0 + w; ++x, rgb += 3) {
      const bool tissue = slide.tissue.holds(x, y), tumour = slide.tumour.holds(x, y);
      const uint8_t s = speckle(x / 4, y / 4, slide.seed);
      rgb[0] = static_cast<uint8_t>(!tissue ? 243 : tumour ? 120 + s : 190 + s / 2);
      rgb[1] = static_cast<uint8_t>(!tissue ? 243 : tumour ? 70 + s : 110 + s);
      rgb[2] = static_cast<uint8_t>(!tissue ? 243 : tumour ? 150 + s : 170 + s / 2);
    }
}

inline void write_made(const std::filesystem::path& file, const MadeSlide& slide) {
  TiffPyramidOptions options;
  options.width = slide.width;
  options.height = slide.height;
  options.tile = 128;
  options.quality = 95;
  options.subsample = false;
  if (slide.mpp > 0) options.mpp = slide.mpp;
  write_tiff_pyramid(file, options, [&](int64_t x, int64_t y, int64_t w, int64_t h, uint8_t* rgb) {
    draw_made(slide, x, y, w, h, rgb);
    return true;
  });
}

inline Ring ring_of(const MadeRect& r) {
  const auto x = static_cast<double>(r.x), y = static_cast<double>(r.y);
  const auto w = static_cast<double>(r.width), h = static_cast<double>(r.height);
  return {{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}};
}

// `normal` and `tumor` slides, numbered; tumour ones with their outline in ASAP's XML.
inline void write_made_set(const std::filesystem::path& dir, int64_t normal, int64_t tumor) {
  std::filesystem::create_directories(dir);
  for (int64_t i = 0; i < normal + tumor; ++i) {
    MadeSlide slide;
    slide.seed = static_cast<uint32_t>(i + 1);
    slide.width += 64 * (i % 3);
    const bool has = i >= normal;
    if (has) slide.tumour = {256, 256, 256, 256};
    const std::string name =
        (has ? "tumor_00" : "normal_00") + std::to_string(has ? i - normal + 1 : i + 1);
    write_made(dir / (name + ".tif"), slide);
    if (has)
      write_asap_xml(dir / (name + ".xml"), {{ring_of(slide.tumour), {}, "Annotation 0", "Tumor"}});
  }
}

// 64-pixel tiles at the slides' own scale; splits that a handful of slides can fill.
inline TileConfig made_config(const std::filesystem::path& dir) {
  TileConfig config;
  config.path = dir.string();
  config.mpp = 0.5;
  config.tile_px = 64;
  config.tissue.mpp = 4;
  config.tissue.min_area_um2 = 1000;
  config.labels.unannotated = "negative";
  config.split.train = 0.5;
  config.split.val = config.split.test = 0.25;
  config.threads = 1;
  // The same rectangles lie in every slide: tiles that an edge goes through are alike.
  config.audit.near_duplicates = "warn";
  return config;
}

}  // namespace stylescope::testing_support
