#include "io/openslide_reader.hpp"

#include "tests/io/slide_fixture.hpp"

#include <atomic>
#include <thread>

namespace stylescope {
namespace {

using testing_support::bare_openslide;
using testing_support::difference;
using testing_support::draw_texture;
using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::Picture;
using testing_support::pyramid;
using testing_support::read_picture_of;
using testing_support::TempDir;
using testing_support::tile_place;

TEST(OpenslideReader, GivesWhatOpenslideGives) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(512, 384, 3), draw_texture);
  OpenslideReader slide(dir / "a.tif");
  for (int32_t level = 0; level < 3; ++level) {
    const int64_t scale = int64_t{1} << level;
    EXPECT_EQ(difference(read_picture_of(slide, level, 17, 5, 70, 80),
                         bare_openslide(dir / "a.tif", level, 17 * scale, 5 * scale, 70, 80)),
              "");
    EXPECT_EQ(difference(read_picture_of(slide, level, -20, -30, 700, 500),
                         bare_openslide(dir / "a.tif", level, -20 * scale, -30 * scale, 700, 500)),
              "");
  }
}

// Larger than what is read at once.
TEST(OpenslideReader, LargeRectanglesAreReadInBlocks) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(4200, 130, 1), draw_texture);
  OpenslideReader slide(dir / "a.tif");
  const Picture whole = read_picture_of(slide, 0, 0, 0, 4200, 130);
  EXPECT_EQ(difference(whole, bare_openslide(dir / "a.tif", 0, 0, 0, 4200, 130)), "");
}

TEST(OpenslideReader, ABadPlaceDoesNotSpoilTheRest) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(512, 512, 1), draw_texture);
  const Picture good = bare_openslide(dir / "a.tif", 0, 0, 0, 64, 512);
  std::string bytes = read_text(dir / "a.tif");
  const auto bad = tile_place(dir / "a.tif", 0, 27);  // column 3, row 3
  bytes.replace(bad.offset + bad.count / 2, 4, "\xFF\x33\xFF\x33");
  overwrite(dir / "a.tif", bytes);
  OpenslideReader slide(dir / "a.tif");
  for (int round = 0; round < 2; ++round) {
    const std::string message = error_of([&] { read_picture_of(slide, 0, 192, 192, 64, 64); });
    expect_sentence(message, dir / "a.tif", {"level 0", "(192, 192)", "64 x 64", "JPEG"});
    EXPECT_EQ(difference(read_picture_of(slide, 0, 0, 0, 64, 512), good), "");
  }
}

TEST(OpenslideReader, ThreadsWithBadPlacesAmongThem) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(512, 512, 1), draw_texture);
  const Picture whole = bare_openslide(dir / "a.tif", 0, 0, 0, 512, 512);
  std::string bytes = read_text(dir / "a.tif");
  for (const uint32_t tile : {9U, 27U, 62U}) {
    const auto bad = tile_place(dir / "a.tif", 0, tile);
    bytes.replace(bad.offset + bad.count / 2, 4, "\xFF\x33\xFF\x33");
  }
  overwrite(dir / "a.tif", bytes);
  OpenslideReader slide(dir / "a.tif");
  std::atomic<int> failed{0}, wrong{0};
  const auto work = [&](int64_t start) {
    for (int64_t i = 0; i < 64; ++i) {
      const int64_t tile = (start + i) % 64, x = tile % 8 * 64, y = tile / 8 * 64;
      Picture picture(64, 64);
      try {
        slide.read(0, x, y, 64, 64, picture.rgb.data(), 192);
      } catch (const Error&) {
        ++failed;
        continue;
      }
      for (int64_t row = 0; row < 64; ++row)
        wrong += !std::equal(picture.at(0, row), picture.at(0, row) + 192, whole.at(x, y + row));
    }
  };
  {
    std::vector<std::jthread> threads;
    for (const int64_t start : {0, 20, 40}) threads.emplace_back(work, start);
  }
  EXPECT_EQ(failed, 9);
  EXPECT_EQ(wrong, 0);
}

TEST(OpenslideReader, BackgroundShowsThrough) {
  EXPECT_EQ(background_of({}), (std::array<uint8_t, 3>{255, 255, 255}));
  EXPECT_EQ(background_of({{"openslide.background-color", "F0E1d2"}}),
            (std::array<uint8_t, 3>{0xF0, 0xE1, 0xD2}));
  EXPECT_EQ(background_of({{"openslide.background-color", "no hex"}}),
            (std::array<uint8_t, 3>{255, 255, 255}));
  // Clear; opaque; half covered by a red whose colour is already halved.
  const std::vector<uint32_t> argb{0x00000000, 0xFF102030, 0x80800000};
  std::vector<uint8_t> rgb(9);
  argb_over(argb.data(), 3, {200, 100, 50}, rgb.data());
  EXPECT_EQ(rgb, (std::vector<uint8_t>{200, 100, 50, 16, 32, 48, 228, 50, 25}));
}

TEST(OpenslideReader, OpaquePixelsOfAnyCount) {
  for (int64_t count = 1; count < 40; ++count) {
    std::vector<uint32_t> argb;
    std::vector<uint8_t> expected, rgb(static_cast<size_t>(3 * count + 1), 99);
    for (int64_t i = 0; i < count; ++i) {
      const auto r = static_cast<uint8_t>(3 * i), g = static_cast<uint8_t>(3 * i + 1),
                 b = static_cast<uint8_t>(3 * i + 2);
      argb.push_back(0xFF000000U | uint32_t{r} << 16 | uint32_t{g} << 8 | b);
      expected.insert(expected.end(), {r, g, b});
    }
    expected.push_back(99);  // not written
    argb_over(argb.data(), count, {0, 0, 0}, rgb.data());
    EXPECT_EQ(rgb, expected) << count;
  }
}

}  // namespace
}  // namespace stylescope
