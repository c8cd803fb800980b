#include "io/tiff_slide.hpp"

#include "tests/io/slide_fixture.hpp"

#include <atomic>
#include <thread>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

namespace stylescope {
namespace {

using testing_support::bare_openslide;
using testing_support::difference;
using testing_support::draw_texture;
using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::mean_difference;
using testing_support::overwrite;
using testing_support::Picture;
using testing_support::pyramid;
using testing_support::read_picture_of;
using testing_support::real_data;
using testing_support::TempDir;
using testing_support::tile_place;

std::unique_ptr<Slide> open_directly(const std::filesystem::path& file, bool dct_scaling = false) {
  return open_slide(file, {.reader = SlideReader::direct, .dct_scaling = dct_scaling});
}

// Every level as a whole and beyond its borders, from its corner, where OpenSlide never
// interpolates; and by rectangles where the downsample is whole.
void expect_as_openslide(const std::filesystem::path& file) {
  const auto slide = open_directly(file);
  for (int64_t level = 0; level < std::ssize(slide->levels()); ++level) {
    const SlideLevel size = slide->levels()[static_cast<size_t>(level)];
    const auto same = [&](int64_t x, int64_t y, int64_t width, int64_t height) {
      const auto scale = static_cast<int64_t>(size.downsample);
      EXPECT_EQ(difference(read_picture_of(*slide, level, x, y, width, height),
                           bare_openslide(file, static_cast<int32_t>(level), x * scale, y * scale,
                                          width, height)),
                "")
          << file << " level " << level << " at " << x << ", " << y;
    };
    same(0, 0, size.width + 9, size.height + 5);
    if (size.downsample != std::floor(size.downsample)) continue;
    const int64_t tile = size.tile_width;
    same(tile, 0, tile, size.tile_height);                                  // one tile
    same(tile, 0, 2 * tile, 2 * size.tile_height);                          // four
    same(tile - 20, 11, tile, tile);                                        // none exactly
    same(-10, -20, 50, 60);                                                 // over the corner
    same(size.width - 30, size.height - 10, 64, 64);                        // over the other
    same(size.width / tile * tile, size.height / tile * tile, tile, tile);  // the last tile
    same(size.width + 100, 0, 10, 10);                                      // outside
  }
}

TEST(TiffSlide, SamePixelsAsOpenslide) {
  TempDir dir;
  for (const bool subsample : {true, false})
    for (const bool rgb : {true, false})
      for (const auto& [width, height] : {std::pair(384, 256), std::pair(301, 203)}) {
        if (rgb && subsample) continue;  // there is no such thing
        auto options = pyramid(width, height, 3);
        options.subsample = subsample;
        options.rgb_photometric = rgb;
        options.factor = width == 384 ? 4 : 2;
        write_tiff_pyramid(dir / "a.tif", options, draw_texture);
        expect_as_openslide(dir / "a.tif");
        options.description = "Aperio|MPP = 0.5";
        write_tiff_pyramid(dir / "a.svs", options, draw_texture);
        expect_as_openslide(dir / "a.svs");
      }
}

TEST(TiffSlide, SamePixelsAsOpenslideOnRealSlides) {
  const auto folder = real_data() / "slides";
  if (!std::filesystem::exists(folder / "cmu-1-small-region.svs"))
    GTEST_SKIP() << "shared/data/slides is not there";
  expect_as_openslide(folder / "cmu-1-small-region.svs");
  expect_as_openslide(folder / "cmu-1-small-region.pyramid.tif");
}

// OpenSlide shows a missing Aperio tile of level 0 as background, and refuses it in a generic TIFF.
TEST(TiffSlide, TilesOfZeroLengthAreBackground) {
  TempDir dir;
  auto options = pyramid(512, 512, 2);
  options.skip_empty = true;
  const auto left_half = [](int64_t x, int64_t y, int64_t w, int64_t h, uint8_t* rgb) {
    return x < 256 && draw_texture(x, y, w, h, rgb);
  };
  write_tiff_pyramid(dir / "a.tif", options, left_half);
  const auto slide = open_directly(dir / "a.tif");
  EXPECT_EQ(difference(read_picture_of(*slide, 0, 0, 0, 256, 512),
                       bare_openslide(dir / "a.tif", 0, 0, 0, 256, 512)),
            "");
  for (int64_t level = 0; level < 2; ++level) {
    const auto white = read_picture_of(*slide, level, 256 >> level, 0, 128, 128);
    EXPECT_TRUE(std::ranges::all_of(white.rgb, [](uint8_t v) { return v == 255; }));
  }
  EXPECT_EQ(slide->stored_jpeg(0, 256, 0, 64, 64), std::nullopt);
  options.levels = 1;
  options.description = "Aperio";
  write_tiff_pyramid(dir / "a.svs", options, left_half);
  expect_as_openslide(dir / "a.svs");
}

// ... and paints a missing tile of a further level from the level before.
TEST(TiffSlide, AperioTilesPaintedByOpenslideAreLeftToIt) {
  TempDir dir;
  auto options = pyramid(512, 512, 2);
  options.description = "Aperio";
  write_tiff_pyramid(dir / "a.svs", options, draw_texture);
  TIFF* tiff = TIFFOpen((dir / "a.svs").c_str(), "r+");
  TIFFSetDirectory(tiff, 1);
  uint64_t* counts = nullptr;
  TIFFGetField(tiff, TIFFTAG_TILEBYTECOUNTS, &counts);
  counts[3] = 0;
  TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, "Aperio");
  TIFFRewriteDirectory(tiff);
  TIFFClose(tiff);
  ASSERT_EQ(tile_place(dir / "a.svs", 1, 3).count, 0U);
  EXPECT_EQ(open_slide(dir / "a.svs")->reader(), SlideReader::openslide);
  expect_sentence(error_of([&] { open_directly(dir / "a.svs"); }), dir / "a.svs",
                  {"level 1 lacks tiles", "openslide"});
}

TEST(TiffSlide, EachTileIsDecodedOnce) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(640, 640, 1), draw_texture);  // 10 x 10 tiles
  const auto unaligned = open_directly(dir / "a.tif");
  const auto read_all = [&](int64_t start, int64_t step) {
    for (int64_t y = start; y < 640 - 64; y += step)
      for (int64_t x = start; x < 640 - 64; x += step) read_picture_of(*unaligned, 0, x, y, 64, 64);
  };
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) threads.emplace_back([&] { read_all(20, 64); });
  }
  EXPECT_EQ(unaligned->decoded_tiles(), 100);
  const auto aligned = open_directly(dir / "a.tif");
  for (int64_t tile = 0; tile < 100; ++tile)
    read_picture_of(*aligned, 0, tile % 10 * 64, tile / 10 * 64, 64, 64);
  EXPECT_EQ(aligned->decoded_tiles(), 100);
}

TEST(TiffSlide, ThreadsReadTheSamePixelsWithASmallCache) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(640, 640, 1), draw_texture);
  const Picture whole = bare_openslide(dir / "a.tif", 0, 0, 0, 640, 640);
  const auto slide =
      open_slide(dir / "a.tif", {.reader = SlideReader::direct, .cache_bytes = 5 * 64 * 64 * 3});
  std::atomic<int> wrong{0};
  const auto work = [&](int64_t seed) {
    for (int64_t i = 0; i < 300; ++i) {
      const int64_t x = (seed + i * 7919) % 540, y = (seed + i * 104729) % 540;
      const Picture picture = read_picture_of(*slide, 0, x, y, 100, 100);
      for (int64_t row = 0; row < 100; ++row)
        wrong += !std::equal(picture.at(0, row), picture.at(0, row) + 300, whole.at(x, y + row));
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int64_t t = 0; t < 4; ++t) threads.emplace_back(work, 31 * t);
  }
  EXPECT_EQ(wrong, 0);
}

TEST(TiffSlide, ABadPlaceDoesNotSpoilTheRest) {
  TempDir dir;
  write_tiff_pyramid(dir / "a.tif", pyramid(512, 512, 1), draw_texture);
  const Picture good = bare_openslide(dir / "a.tif", 0, 0, 0, 192, 512);
  std::string bytes = read_text(dir / "a.tif");
  const auto bad = tile_place(dir / "a.tif", 0, 27);  // column 3, row 3
  bytes.replace(bad.offset + bad.count / 2, 4, "\xFF\x33\xFF\x33");
  overwrite(dir / "a.tif", bytes);
  const auto slide = open_directly(dir / "a.tif");
  for (const int64_t offset : {0, 5}) {
    const std::string message =
        error_of([&] { read_picture_of(*slide, 0, 192 + offset, 192, 64, 64); });
    expect_sentence(message, dir / "a.tif", {"level 0", ", 192)", "64 x 64", "damaged"});
    EXPECT_EQ(difference(read_picture_of(*slide, 0, 0, 0, 192, 512), good), "");
  }
}

TEST(TiffSlide, LyingTablesAreErrors) {
  TempDir dir;
  // Two levels: OpenSlide reads the last one when it opens the file.
  write_tiff_pyramid(dir / "a.tif", pyramid(512, 512, 2), draw_texture);
  const std::string whole = read_text(dir / "a.tif");
  const auto place = tile_place(dir / "a.tif", 0, 9);
  const auto little = [](uint64_t value, size_t width) {
    std::string bytes;
    for (size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> 8 * i);
    return bytes;
  };
  // `from` stands in level 0's directory, behind its tiles and before those of level 1.
  const auto expect_bad = [&](const std::string& from, const std::string& to, const char* words) {
    std::string bytes = whole;
    const size_t at = bytes.rfind(from, tile_place(dir / "a.tif", 1, 0).offset);
    ASSERT_LT(at, bytes.size());
    ASSERT_GT(at, place.offset + place.count);
    bytes.replace(at, to.size(), to);
    overwrite(dir / "b.tif", bytes);
    const auto slide = open_directly(dir / "b.tif");
    const std::string message = error_of([&] { read_picture_of(*slide, 0, 64, 64, 64, 64); });
    expect_sentence(message, dir / "b.tif", {words});
    read_picture_of(*slide, 0, 192, 192, 64, 64);
  };
  const std::string offset = little(place.offset, 4);
  expect_bad(offset, little(0xFFFFFFF0, 4), "beyond the end");
  expect_bad(offset, little(whole.size() - 5, 4), "beyond the end");
  expect_bad(offset, little(0, 4), "JPEG");
  // libtiff stores small counts in two bytes; counts repeat, three in a row do not.
  std::string counts = little(place.count, 2);
  for (const uint32_t next : {10U, 11U})
    counts += little(tile_place(dir / "a.tif", 0, next).count, 2);
  expect_bad(counts, little(1, 2), "JPEG");
}

// Whatever byte of a directory is damaged: an Error or pixels, never a crash.
TEST(TiffSlide, DamagedDirectoriesNeverCrash) {
  TempDir dir;
  auto options = pyramid(200, 130, 2);
  options.mpp = 0.5;
  write_tiff_pyramid(dir / "a.tif", options, draw_texture);
  const std::string whole = read_text(dir / "a.tif");
  const auto last = tile_place(dir / "a.tif", 0, 11);
  const size_t begin = last.offset + last.count;
  const size_t end = std::min<size_t>(begin + 500, tile_place(dir / "a.tif", 1, 0).offset);
  int opened = 0, refused = 0;
  for (size_t at = begin; at < end; at += 5) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
    overwrite(dir / "b.tif", bytes);
    try {
      const auto slide = open_directly(dir / "b.tif");
      ++opened;
      read_picture_of(*slide, 0, 10, 10, 100, 100);
    } catch (const Error& error) {
      ++refused;
      EXPECT_NE(std::string(error.what()).find("b.tif"), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(opened, 0);
  EXPECT_GT(refused, 0);
}

TEST(TiffSlide, StoredJpegDecodesToWhatIsRead) {
  TempDir dir;
  for (const bool rgb : {true, false}) {
    auto options = pyramid(300, 200, 1);
    options.rgb_photometric = rgb;
    write_tiff_pyramid(dir / "a.tif", options, draw_texture);
    const auto slide = open_directly(dir / "a.tif");
    const auto jpeg = slide->stored_jpeg(0, 64, 64, 64, 64);
    ASSERT_TRUE(jpeg);
    cv::Mat bgr = cv::imdecode(std::vector<uint8_t>(jpeg->begin(), jpeg->end()), cv::IMREAD_COLOR);
    const Picture expected = read_picture_of(*slide, 0, 64, 64, 64, 64);
    ASSERT_EQ(bgr.rows, 64);
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 64; ++x)
        for (int c = 0; c < 3; ++c)
          ASSERT_EQ(bgr.at<cv::Vec3b>(y, x)[2 - c], expected.at(x, y)[c]) << rgb << x << "," << y;
    EXPECT_FALSE(slide->stored_jpeg(0, 65, 64, 64, 64));
    EXPECT_FALSE(slide->stored_jpeg(0, 64, 64, 128, 64));
    EXPECT_FALSE(slide->stored_jpeg(0, -64, 0, 64, 64));
    EXPECT_FALSE(slide->stored_jpeg(0, 256, 0, 64, 64));  // partly outside
  }
}

TEST(TiffSlide, DctScaledLevels) {
  TempDir dir;
  auto options = pyramid(602, 395, 2);
  options.factor = 4;
  write_tiff_pyramid(dir / "a.tif", options, draw_texture);
  const auto slide = open_directly(dir / "a.tif", true);
  const auto& levels = slide->levels();
  ASSERT_EQ(levels.size(), 6U);  // 1, [2], 4, [8], [16], [32]
  EXPECT_TRUE(levels[1].dct_scaled);
  EXPECT_FALSE(levels[2].dct_scaled);
  EXPECT_EQ(levels[1].width, 301);
  EXPECT_EQ(levels[1].height, 198);
  EXPECT_EQ(levels[1].tile_width, 32);
  EXPECT_DOUBLE_EQ(levels[1].downsample, 2);
  EXPECT_EQ(levels[3].width, 75);
  const Picture whole = read_picture_of(*slide, 1, 0, 0, 301, 198);
  const Picture part = read_picture_of(*slide, 1, 40, 50, 77, 60);
  for (int64_t row = 0; row < 60; ++row)
    EXPECT_TRUE(std::equal(part.at(0, row), part.at(0, row) + 3 * 77, whole.at(40, 50 + row)));
  EXPECT_FALSE(slide->stored_jpeg(1, 0, 0, 32, 32));
}

TEST(TiffSlide, DctScalingAgainstAreaAveragingOnARealSlide) {
  const auto file = real_data() / "slides" / "cmu-1-small-region.svs";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "shared/data/slides is not there";
  const auto slide = open_directly(file, true);
  const Picture full = read_picture_of(*slide, 0, 0, 0, 2048, 2048);
  for (int64_t i = 1; i <= 3; ++i) {
    const int64_t n = int64_t{1} << i;
    const Picture scaled = read_picture_of(*slide, i, 0, 0, 2048 / n, 2048 / n);
    std::vector<uint8_t> mean(scaled.rgb.size());
    for (int64_t y = 0; y < scaled.height; ++y)
      for (int64_t x = 0; x < scaled.width; ++x)
        for (int64_t c = 0; c < 3; ++c) {
          int64_t sum = n * n / 2;
          for (int64_t k = 0; k < n * n; ++k) sum += full.at(x * n + k % n, y * n + k / n)[c];
          mean[static_cast<size_t>(3 * (y * scaled.width + x) + c)] =
              static_cast<uint8_t>(sum / (n * n));
        }
    const double error = mean_difference(scaled.rgb, mean);
    RecordProperty("mean_difference_" + std::to_string(n), std::to_string(error));
    EXPECT_LT(error, 0.5) << n;
  }
}

// Rewrites level 0 with the same tiles' pixels in another form.
void write_plain_tiff(const std::filesystem::path& file, const char* mode, uint16_t compression,
                      uint16_t samples, uint16_t bits) {
  TIFF* tiff = TIFFOpen(file.c_str(), mode);
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, 128);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, 128);
  TIFFSetField(tiff, TIFFTAG_TILEWIDTH, 64);
  TIFFSetField(tiff, TIFFTAG_TILELENGTH, 64);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, bits);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, samples);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, samples == 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, compression);
  std::vector<uint8_t> tile(static_cast<size_t>(64 * 64 * samples * bits / 8), 100);
  for (uint32_t i = 0; i < 4; ++i)
    TIFFWriteEncodedTile(tiff, i, tile.data(), static_cast<tmsize_t>(tile.size()));
  TIFFClose(tiff);
}

TEST(TiffSlide, OtherTiffsAreLeftToOpenslide) {
  TempDir dir;
  const auto file = dir / "a.tif";
  const auto expect_reason = [&](const char* reason) {
    expect_sentence(error_of([&] { open_directly(file); }), file, {reason, "openslide"});
    const auto slide = open_slide(file);
    EXPECT_EQ(slide->reader(), SlideReader::openslide);
    EXPECT_EQ(read_picture_of(*slide, 0, 5, 5, 20, 20).rgb[0], 100);
    EXPECT_EQ(slide->decoded_tiles(), 0);
  };
  write_plain_tiff(file, "w", COMPRESSION_LZW, 3, 8);
  expect_reason("not JPEG");
  write_plain_tiff(file, "w", COMPRESSION_NONE, 3, 16);
  expect_reason("not JPEG");
  write_plain_tiff(file, "w", COMPRESSION_JPEG, 1, 8);
  expect_reason("1 x 8 bits");
}

// libtiff's own JPEG codec, and 64-bit offsets.
TEST(TiffSlide, BigTiff) {
  TempDir dir;
  write_plain_tiff(dir / "a.tif", "w8", COMPRESSION_JPEG, 3, 8);
  EXPECT_EQ(read_text(dir / "a.tif").substr(0, 3), "II+");
  expect_as_openslide(dir / "a.tif");
}

}  // namespace
}  // namespace stylescope
