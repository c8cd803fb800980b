#include "io/tiff_pyramid.hpp"

#include "tests/io/slide_fixture.hpp"

#include <stdexcept>

namespace stylescope {
namespace {

using testing_support::bare_openslide;
using testing_support::draw_texture;
using testing_support::error_of;
using testing_support::mean_difference;
using testing_support::Picture;
using testing_support::pyramid;
using testing_support::TempDir;
using testing_support::tile_place;

std::string property(const std::filesystem::path& file, const char* name) {
  openslide_t* slide = openslide_open(file.c_str());
  const char* value = slide ? openslide_get_property_value(slide, name) : nullptr;
  const std::string text = value ? value : "";
  if (slide) openslide_close(slide);
  return text;
}

TEST(TiffPyramid, IsASlideToOpenslide) {
  TempDir dir;
  auto options = pyramid(400, 264, 3);
  options.mpp = 0.25;
  write_tiff_pyramid(dir / "a.tif", options, draw_texture);
  EXPECT_EQ(property(dir / "a.tif", "openslide.vendor"), "generic-tiff");
  EXPECT_EQ(property(dir / "a.tif", "openslide.level-count"), "3");
  EXPECT_EQ(property(dir / "a.tif", "openslide.level[1].width"), "200");
  EXPECT_EQ(property(dir / "a.tif", "openslide.level[2].height"), "66");
  EXPECT_EQ(property(dir / "a.tif", "openslide.level[2].tile-width"), "64");
  EXPECT_EQ(property(dir / "a.tif", "tiff.XResolution"), "40000");
  EXPECT_EQ(property(dir / "a.tif", "tiff.ResolutionUnit"), "centimeter");
}

TEST(TiffPyramid, AnAperioDescriptionMakesAnAperioSlide) {
  TempDir dir;
  auto options = pyramid(300, 200, 2);
  options.description = "Aperio Image Library|AppMag = 20|MPP = 0.4990";
  write_tiff_pyramid(dir / "a.svs", options, draw_texture);
  EXPECT_EQ(property(dir / "a.svs", "openslide.vendor"), "aperio");
  EXPECT_EQ(property(dir / "a.svs", "openslide.mpp-x"), "0.499");
  EXPECT_EQ(property(dir / "a.svs", "openslide.level-count"), "2");
}

TEST(TiffPyramid, LevelsAreMeansOfTheLevelBefore) {
  TempDir dir;
  for (const int64_t factor : {2, 3, 4}) {
    auto options = pyramid(397, 271, 3);
    options.factor = factor;
    options.quality = 98;
    options.subsample = false;
    options.rgb_photometric = factor == 3;
    write_tiff_pyramid(dir / "a.tif", options, draw_texture);
    Picture expected(397, 271);
    draw_texture(0, 0, 397, 271, expected.rgb.data());
    for (int32_t level = 0; level < 3; ++level) {
      const Picture stored =
          bare_openslide(dir / "a.tif", level, 0, 0, expected.width, expected.height);
      EXPECT_LT(mean_difference(stored.rgb, expected.rgb), 2.0) << factor << " " << level;
      Picture next(expected.width / factor, expected.height / factor);
      for (int64_t y = 0; y < next.height; ++y)
        for (int64_t x = 0; x < next.width; ++x)
          for (int64_t c = 0; c < 3; ++c) {
            int64_t sum = factor * factor / 2;
            for (int64_t i = 0; i < factor * factor; ++i)
              sum += expected.at(x * factor + i % factor, y * factor + i / factor)[c];
            next.rgb[static_cast<size_t>(3 * (y * next.width + x) + c)] =
                static_cast<uint8_t>(sum / (factor * factor));
          }
      expected = next;
    }
  }
}

TEST(TiffPyramid, WithoutANumberOfLevelsTheLastFitsTwoTiles) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(600, 250, 0), draw_texture);
  EXPECT_EQ(property(dir / "a.tif", "openslide.level-count"), "4");
  EXPECT_EQ(property(dir / "a.tif", "openslide.level[3].width"), "75");
}

TEST(TiffPyramid, ThreadsDoNotChangeTheFile) {
  TempDir dir;
  write_tiff_pyramid(dir / "one.tif", pyramid(500, 333, 3), draw_texture, 1);
  write_tiff_pyramid(dir / "three.tif", pyramid(500, 333, 3), draw_texture, 3);
  EXPECT_EQ(read_text(dir / "one.tif"), read_text(dir / "three.tif"));
}

TEST(TiffPyramid, EmptyTilesTakeNoBytes) {
  TempDir dir;
  auto options = pyramid(256, 256, 2);
  const auto only_top_left = [](int64_t x, int64_t y, int64_t w, int64_t h, uint8_t* rgb) {
    return x < 64 && y < 64 && draw_texture(x, y, w, h, rgb);
  };
  write_tiff_pyramid(dir / "full.tif", options, only_top_left);
  EXPECT_GT(tile_place(dir / "full.tif", 0, 15).count, 0U);
  const Picture corner = bare_openslide(dir / "full.tif", 0, 192, 192, 64, 64);
  EXPECT_TRUE(std::ranges::all_of(corner.rgb, [](uint8_t v) { return v == 255; }));
  options.skip_empty = true;
  write_tiff_pyramid(dir / "a.tif", options, only_top_left);
  for (uint32_t tile = 0; tile < 16; ++tile)
    EXPECT_EQ(tile_place(dir / "a.tif", 0, tile).count > 0, tile == 0) << tile;
  for (uint32_t tile = 0; tile < 4; ++tile)
    EXPECT_EQ(tile_place(dir / "a.tif", 1, tile).count > 0, tile == 0) << tile;
}

TEST(TiffPyramid, AFailureLeavesNothingBehind) {
  TempDir dir;
  const auto fails = [](int64_t x, int64_t, int64_t, int64_t, uint8_t*) -> bool {
    if (x > 0) throw std::runtime_error("no ink");
    return true;
  };
  EXPECT_THROW(write_tiff_pyramid(dir / "a.tif", pyramid(300, 300, 1), fails, 2),
               std::runtime_error);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  EXPECT_NE(error_of([&] {
              write_tiff_pyramid(dir / "a.tif", pyramid(10, 10, 9), draw_texture);
            }).find("empty level"),
            std::string::npos);
}

TEST(TiffPyramid, AFullDiskIsNamed) {
  testing_support::SmallDisk disk("64k");
  SKIP_UNLESS_MOUNTED(disk);
  const std::string message =
      error_of([&] { write_tiff_pyramid(disk / "a.tif", pyramid(1000, 1000, 1), draw_texture); });
  EXPECT_NE(message.find("No space left"), std::string::npos) << message;
  EXPECT_TRUE(disk.files().empty());
}

}  // namespace
}  // namespace stylescope
