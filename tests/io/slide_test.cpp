#include "io/slide.hpp"

#include "tests/io/slide_fixture.hpp"

namespace stylescope {
namespace {

using testing_support::draw_texture;
using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::pyramid;
using testing_support::real_data;
using testing_support::TempDir;

TEST(SlideTest, OpensDirectlyWhereItCan) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(300, 200, 2), draw_texture);
  EXPECT_EQ(open_slide(dir / "a.tif")->reader(), SlideReader::direct);
  EXPECT_EQ(open_slide(dir / "a.tif", {.reader = SlideReader::openslide})->reader(),
            SlideReader::openslide);
  EXPECT_EQ(to_string(SlideReader::automatic), "automatic");
}

TEST(SlideTest, BothReadersSayTheSame) {
  TempDir dir;
  auto options = pyramid(301, 203, 3);
  options.mpp = 0.5;
  write_tiff_pyramid(dir / "a.tif", options, draw_texture);
  const auto direct = open_slide(dir / "a.tif", {.reader = SlideReader::direct});
  const auto truth = open_slide(dir / "a.tif", {.reader = SlideReader::openslide});
  EXPECT_EQ(direct->properties(), truth->properties());
  ASSERT_EQ(direct->levels().size(), 3U);
  openslide_t* bare = openslide_open((dir / "a.tif").c_str());
  for (int32_t i = 0; i < 3; ++i) {
    for (const Slide* slide : {direct.get(), truth.get()}) {
      const SlideLevel& level = slide->levels()[static_cast<size_t>(i)];
      EXPECT_EQ(level.downsample, openslide_get_level_downsample(bare, i));
      EXPECT_EQ(level.width, 301 >> i);
      EXPECT_EQ(level.height, 203 >> i);
      EXPECT_EQ(level.tile_width, 64);
      EXPECT_FALSE(level.dct_scaled);
    }
  }
  openslide_close(bare);
}

TEST(SlideTest, WhatIsNoSlideGetsASentence) {
  TempDir dir;
  for (const auto reader : {SlideReader::automatic, SlideReader::openslide, SlideReader::direct}) {
    const auto message = [&](const std::filesystem::path& file) {
      return error_of([&] { open_slide(file, {.reader = reader}); });
    };
    expect_sentence(message(dir / "none.svs"), dir / "none.svs", {"is not there", "path"});
    expect_sentence(message(dir.path()), dir.path(), {"is no file"});
    overwrite(dir / "empty.svs", "");
    expect_sentence(message(dir / "empty.svs"), dir / "empty.svs", {"is empty"});
    overwrite(dir / "text.svs", std::string(5000, 'x'));
    expect_sentence(message(dir / "text.svs"), dir / "text.svs", {"is no slide"});
  }
}

TEST(SlideTest, ATruncatedSlideIsNamed) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(600, 500, 3), draw_texture);
  const std::string whole = read_text(dir / "a.tif");
  for (const size_t keep : {size_t{6}, size_t{9}, whole.size() / 3, whole.size() * 2 / 3}) {
    overwrite(dir / "cut.tif", whole.substr(0, keep));
    const std::string message = error_of([&] { open_slide(dir / "cut.tif"); });
    expect_sentence(message, dir / "cut.tif", {"copy or download it again"});
  }
  overwrite(dir / "cut.tif", whole.substr(0, whole.size() / 3));
  expect_sentence(error_of([&] { open_slide(dir / "cut.tif"); }), dir / "cut.tif", {"cut off"});
}

// The last directory lies at the end: with a few bytes of it gone, the levels before can be read.
TEST(SlideTest, ASlideWithoutItsLastBytesNamesWhatIsMissing) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(600, 500, 3), draw_texture);
  const std::string whole = read_text(dir / "a.tif");
  for (const size_t lost : {1, 100, 700, 2000})
    for (const auto reader : {SlideReader::openslide, SlideReader::direct}) {
      overwrite(dir / "cut.tif", whole.substr(0, whole.size() - lost));
      const std::string message = error_of([&] {
        const auto slide = open_slide(dir / "cut.tif", {.reader = reader});
        std::vector<uint8_t> rgb(150 * 125 * 3);
        slide->read(0, 0, 0, 150, 125, rgb.data(), 450);
        slide->read(2, 0, 0, 150, 125, rgb.data(), 450);
      });
      expect_sentence(message, dir / "cut.tif", {"copy or download"});
    }
}

TEST(SlideTest, BrokenRealSlide) {
  const auto file = real_data() / "slides" / "broken.svs";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "shared/data/slides is not there";
  expect_sentence(error_of([&] { open_slide(file); }), file, {"is no slide"});
  EXPECT_TRUE(is_slide_name(file));
}

TEST(SlideTest, NamesOfSlides) {
  TempDir dir;
  for (const char* name : {"a.svs", "b.TIF", "c.ndpi", "d.mrxs"}) {
    overwrite(dir / name, "II*");
    EXPECT_TRUE(is_slide_name(dir / name)) << name;
  }
  overwrite(dir / "e.svs", "");
  EXPECT_TRUE(is_slide_name(dir / "e.svs"));
  for (const char* name : {"a.xml", "b.svs.part", "svs", "c.jpg"}) {
    overwrite(dir / name, "II*");
    EXPECT_FALSE(is_slide_name(dir / name)) << name;
  }
  overwrite(dir / "._a.svs", std::string("\0\5\x16\7\0\2\0\0", 8));
  EXPECT_FALSE(is_slide_name(dir / "._a.svs"));
  EXPECT_FALSE(is_slide_name(dir / "not-there.svs"));
  std::filesystem::create_directory(dir / "folder.tif");
  EXPECT_FALSE(is_slide_name(dir / "folder.tif"));
}

TEST(SlideTest, BestLevelIsTheCoarsestThatIsNotCoarser) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(640, 640, 3), draw_texture);
  const auto slide = open_slide(dir / "a.tif");  // 1, 2, 4
  EXPECT_EQ(best_level(*slide, 0.5), 0);
  EXPECT_EQ(best_level(*slide, 1), 0);
  EXPECT_EQ(best_level(*slide, 1.9), 0);
  EXPECT_EQ(best_level(*slide, 1.9995), 1);
  EXPECT_EQ(best_level(*slide, 3), 1);
  EXPECT_EQ(best_level(*slide, 100), 2);
  auto options = pyramid(640, 640, 2);
  options.factor = 8;
  write_tiff_pyramid(dir / "b.tif", options, draw_texture);
  const auto scaled = open_slide(dir / "b.tif", {.dct_scaling = true});  // 1, 2, 4, 8, ...
  const auto best = static_cast<size_t>(best_level(*scaled, 4.5));
  EXPECT_EQ(scaled->levels()[best].downsample, 4);
  EXPECT_TRUE(scaled->levels()[best].dct_scaled);
}

}  // namespace
}  // namespace stylescope
