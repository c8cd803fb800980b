#include "io/jpeg_codec.hpp"

#include "tests/io/slide_fixture.hpp"

#include <algorithm>

namespace stylescope {
namespace {

using testing_support::draw_texture;
using testing_support::error_of;
using testing_support::mean_difference;
using testing_support::Picture;

Picture texture(int64_t width, int64_t height) {
  Picture picture(width, height);
  draw_texture(0, 0, width, height, picture.rgb.data());
  return picture;
}

// Slow waves only: what 4:2:0 and scaling keep.
Picture smooth(int64_t width, int64_t height) {
  Picture picture(width, height);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < 3; ++c)
        picture.rgb[static_cast<size_t>(3 * (y * width + x) + c)] =
            static_cast<uint8_t>(128 + 100 * std::sin(0.03 * static_cast<double>(x + c * y)));
  return picture;
}

std::string encode(const Picture& picture, int quality, bool subsample,
                   JpegColor stored = JpegColor::ycbcr) {
  return encode_jpeg(picture.rgb.data(), picture.width, picture.height, 3 * picture.width, 3,
                     quality, subsample, stored);
}

Picture decode(JpegDecoder& decoder, std::string_view stream, std::string_view tables,
               JpegColor color, int64_t width, int64_t height, int denominator = 1) {
  Picture out((width + denominator - 1) / denominator, (height + denominator - 1) / denominator);
  decoder.decode(stream, tables, color, denominator, width, height, out.rgb.data(), 3 * out.width);
  return out;
}

TEST(JpegCodec, WhatIsEncodedComesBack) {
  JpegDecoder decoder;
  const Picture picture = smooth(75, 50);
  for (const bool subsample : {false, true}) {
    const std::string stream = encode(picture, 95, subsample);
    EXPECT_EQ(JpegDecoder::size_of(stream).width, 75);
    EXPECT_EQ(JpegDecoder::size_of(stream).height, 50);
    const Picture back = decode(decoder, stream, "", JpegColor::as_marked, 75, 50);
    EXPECT_LT(mean_difference(back.rgb, picture.rgb), 2.0) << subsample;
  }
  const std::string rgb = encode(picture, 95, true, JpegColor::rgb);
  EXPECT_LT(mean_difference(decode(decoder, rgb, "", JpegColor::rgb, 75, 50).rgb, picture.rgb),
            1.0);
}

TEST(JpegCodec, GreyBecomesRgb) {
  const std::vector<uint8_t> grey(32 * 32, 90);
  const std::string stream = encode_jpeg(grey.data(), 32, 32, 32, 1, 95, false);
  JpegDecoder decoder;
  const Picture back = decode(decoder, stream, "", JpegColor::grey, 32, 32);
  EXPECT_TRUE(std::ranges::all_of(back.rgb, [](uint8_t v) { return v == 90; }));
  EXPECT_NE(error_of([&] {
              decode(decoder, stream, "", JpegColor::ycbcr, 32, 32);
            }).find("not what was announced"),
            std::string::npos);
}

TEST(JpegCodec, TablesSplitOffAndMergedGiveTheSamePixels) {
  const Picture picture = texture(64, 48);
  for (const JpegColor color : {JpegColor::ycbcr, JpegColor::rgb}) {
    JpegDecoder decoder;
    const std::string whole = encode(picture, 70, true, color);
    const JpegParts parts = split_jpeg_tables(whole);
    EXPECT_LT(parts.stream.size() + 200, whole.size());
    const Picture expected = decode(decoder, whole, "", color, 64, 48);
    EXPECT_EQ(decode(decoder, parts.stream, parts.tables, color, 64, 48).rgb, expected.rgb);
    const std::string merged = merge_jpeg_tables(parts.stream, parts.tables, color);
    EXPECT_EQ(decode(decoder, merged, "", JpegColor::as_marked, 64, 48).rgb, expected.rgb);
  }
}

TEST(JpegCodec, TablesOfOneStreamNeverServeAnother) {
  const Picture picture = texture(64, 64);
  const JpegParts coarse = split_jpeg_tables(encode(picture, 20, true));
  const JpegParts fine = split_jpeg_tables(encode(picture, 95, true));
  const std::string whole = encode(picture, 50, true);
  const auto fresh = [&](std::string_view stream, std::string_view tables) {
    JpegDecoder decoder;
    return decode(decoder, stream, tables, JpegColor::ycbcr, 64, 64).rgb;
  };
  JpegDecoder decoder;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(decode(decoder, coarse.stream, coarse.tables, JpegColor::ycbcr, 64, 64).rgb,
              fresh(coarse.stream, coarse.tables));
    EXPECT_EQ(decode(decoder, fine.stream, fine.tables, JpegColor::ycbcr, 64, 64).rgb,
              fresh(fine.stream, fine.tables));
    EXPECT_EQ(decode(decoder, whole, fine.tables, JpegColor::ycbcr, 64, 64).rgb, fresh(whole, ""));
    EXPECT_EQ(decode(decoder, fine.stream, fine.tables, JpegColor::ycbcr, 64, 64).rgb,
              fresh(fine.stream, fine.tables));
    EXPECT_NE(error_of([&] {
                decode(decoder, fine.stream, "", JpegColor::ycbcr, 64, 64);
              }).find("was not defined"),
              std::string::npos);
  }
}

TEST(JpegCodec, LargerStreamsAreCutAndSmallerOnesRefused) {
  const Picture picture = texture(64, 64);
  const std::string stream = encode(picture, 80, true);
  JpegDecoder decoder;
  const Picture whole = decode(decoder, stream, "", JpegColor::ycbcr, 64, 64);
  const Picture part = decode(decoder, stream, "", JpegColor::ycbcr, 41, 23);
  for (int64_t y = 0; y < 23; ++y)
    EXPECT_TRUE(std::equal(part.at(0, y), part.at(0, y) + 3 * 41, whole.at(0, y))) << y;
  EXPECT_NE(
      error_of([&] { decode(decoder, stream, "", JpegColor::ycbcr, 65, 64); }).find("smaller"),
      std::string::npos);
}

TEST(JpegCodec, RowsKeepToTheirStride) {
  const std::string stream = encode(texture(16, 16), 80, false);
  std::vector<uint8_t> rgb(16 * 60, 7);
  JpegDecoder().decode(stream, "", JpegColor::ycbcr, 1, 16, 16, rgb.data(), 60);
  for (size_t y = 0; y < 16; ++y)
    for (size_t i = 48; i < 60; ++i) EXPECT_EQ(rgb[60 * y + i], 7);
}

TEST(JpegCodec, DamageIsAnErrorAndTheDecoderLivesOn) {
  const std::string stream = encode(texture(64, 64), 80, true);
  JpegDecoder decoder;
  const Picture expected = decode(decoder, stream, "", JpegColor::ycbcr, 64, 64);
  const auto fails_with = [&](const std::string& bytes, const char* words) {
    const std::string message =
        error_of([&] { decode(decoder, bytes, "", JpegColor::ycbcr, 64, 64); });
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_EQ(decode(decoder, stream, "", JpegColor::ycbcr, 64, 64).rgb, expected.rgb);
  };
  fails_with("", "zero bytes");
  fails_with("no JPEG at all", "Not a JPEG file");
  fails_with(stream.substr(0, 2), "damaged");
  for (const size_t keep :
       {size_t{3}, size_t{100}, size_t{640}, stream.size() / 2, stream.size() - 30})
    fails_with(stream.substr(0, keep), "damaged");
  std::string marker = stream;
  marker.replace(stream.size() - 300, 4, "\xFF\x33\xFF\x33");
  fails_with(marker, "damaged");
  std::string huge = stream;
  const size_t frame = stream.find("\xFF\xC0");
  huge.replace(frame + 5, 4, "\xFF\xDC\xFF\xDC");
  fails_with(huge, "absurd size");
}

// A lone missing end marker takes no pixel away.
TEST(JpegCodec, AMissingEndMarkerIsForgivenAndMended) {
  const std::string stream = encode(texture(64, 64), 80, true);
  const std::string open = stream.substr(0, stream.size() - 2);
  JpegDecoder decoder;
  EXPECT_EQ(decode(decoder, open, "", JpegColor::ycbcr, 64, 64).rgb,
            decode(decoder, stream, "", JpegColor::ycbcr, 64, 64).rgb);
  EXPECT_TRUE(merge_jpeg_tables(open, "", JpegColor::ycbcr).ends_with("\xFF\xD9"));
}

TEST(JpegCodec, DctScalingIsCloseToAreaAveraging) {
  const Picture picture = smooth(128, 96);
  const std::string stream = encode(picture, 95, false);
  JpegDecoder decoder;
  const Picture full = decode(decoder, stream, "", JpegColor::ycbcr, 128, 96);
  for (const int n : {2, 4, 8}) {
    const Picture scaled = decode(decoder, stream, "", JpegColor::ycbcr, 128, 96, n);
    Picture mean(128 / n, 96 / n);
    for (int64_t y = 0; y < mean.height; ++y)
      for (int64_t x = 0; x < mean.width; ++x)
        for (int64_t c = 0; c < 3; ++c) {
          int sum = n * n / 2;
          for (int64_t j = 0; j < n; ++j)
            for (int64_t i = 0; i < n; ++i) sum += full.at(x * n + i, y * n + j)[c];
          mean.rgb[static_cast<size_t>(3 * (y * mean.width + x) + c)] =
              static_cast<uint8_t>(sum / (n * n));
        }
    EXPECT_LT(mean_difference(scaled.rgb, mean.rgb), 1.5) << n;
  }
  EXPECT_EQ(decode(decoder, stream, "", JpegColor::ycbcr, 125, 93, 8).width, 16);
}

}  // namespace
}  // namespace stylescope
