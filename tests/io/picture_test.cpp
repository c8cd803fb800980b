#include "io/picture.hpp"

#include "tests/io/faults.hpp"

#include <cstdint>
#include <map>
#include <random>
#include <unistd.h>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::TempDir;

torch::Tensor noise(int64_t channels, int64_t height, int64_t width) {
  return torch::arange(channels * height * width)
      .mul(7919)
      .remainder(256)
      .to(torch::kUInt8)
      .view({channels, height, width});
}

// The same picture as OpenCV has it: (H, W, BGR).
cv::Mat as_mat(const torch::Tensor& pixels) {
  const auto bgr = pixels.flip(0).permute({1, 2, 0}).contiguous();
  return cv::Mat(static_cast<int>(bgr.size(0)), static_cast<int>(bgr.size(1)),
                 CV_8UC(static_cast<int>(bgr.size(2))), bgr.data_ptr())
      .clone();
}

std::string smooth_jpeg() {
  cv::Mat picture(64, 64, CV_8UC1);
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x)
      picture.at<uint8_t>(y, x) = static_cast<uint8_t>(2 * x + y + (x * y) % 17);
  std::vector<uint8_t> bytes;
  cv::imencode(".jpg", picture, bytes);
  return {bytes.begin(), bytes.end()};
}

TEST(Picture, PngRoundTrip) {
  TempDir dir;
  for (const int64_t channels : {1, 3}) {
    const auto pixels = noise(channels, 5, 7);
    write_png(dir / "a.png", pixels);
    EXPECT_TRUE(read_picture(dir / "a.png", channels).equal(pixels));
  }
  EXPECT_EQ(encode_png(noise(1, 2, 2)).substr(1, 3), "PNG");
}

TEST(Picture, GreyAndColourAreConverted) {
  TempDir dir;
  write_png(dir / "grey.png", noise(1, 4, 4));
  EXPECT_TRUE(read_picture(dir / "grey.png", 3).equal(noise(1, 4, 4).expand({3, 4, 4})));
  const auto red =
      torch::tensor({255, 0, 0}, torch::kUInt8).view({3, 1, 1}).expand({3, 2, 2}).contiguous();
  write_png(dir / "red.png", red);
  EXPECT_TRUE(read_picture(dir / "red.png", 3).equal(red));
  EXPECT_EQ(read_picture(dir / "red.png", 1).max().item<int>(),
            76);  // 0.299 * 255: BT.601 luminance
}

TEST(Picture, AlphaIsDroppedAnd16BitScaled) {
  TempDir dir;
  const cv::Mat rgba(3, 2, CV_8UC4, cv::Scalar(10, 20, 30, 40));
  for (const std::string name : {"a.png", "a.tif"}) {
    cv::imwrite(dir / name, rgba);
    const auto pixels = read_picture(dir / name, 3);
    ASSERT_EQ(pixels.sizes(), (std::vector<int64_t>{3, 3, 2})) << name;
    EXPECT_EQ(pixels[0][0][0].item<int>(), 30) << name;
    EXPECT_EQ(pixels[2][2][1].item<int>(), 10) << name;
  }
  const cv::Mat deep = (cv::Mat_<uint16_t>(1, 4) << 0, 257, 32768, 65535);
  for (const std::string name : {"deep.png", "deep.tif"}) {
    cv::imwrite(dir / name, deep);
    EXPECT_TRUE(read_picture(dir / name, 1)
                    .view({-1})
                    .equal(torch::tensor({0, 1, 128, 255}, torch::kUInt8)))
        << name;
  }
}

TEST(Picture, JpegAndTiffAreRead) {
  TempDir dir;
  overwrite(dir / "a.jpg", smooth_jpeg());
  EXPECT_EQ(read_picture(dir / "a.jpg", 1).sizes(), (std::vector<int64_t>{1, 64, 64}));
  const auto pixels = noise(3, 6, 9);
  cv::imwrite(dir / "a.tif", as_mat(pixels));
  EXPECT_TRUE(read_picture(dir / "a.tif", 3).equal(pixels));
  overwrite(dir / "more.jpg", smooth_jpeg() + "what cameras append");
  EXPECT_TRUE(read_picture(dir / "more.jpg", 1).equal(read_picture(dir / "a.jpg", 1)));
}

TEST(Picture, EveryCutOffFileIsNoticedSilently) {
  TempDir dir;
  cv::imwrite(dir / "whole.tif", as_mat(noise(3, 32, 32)));
  const std::map<std::string, std::string> files{{"a.jpg", smooth_jpeg()},
                                                 {"a.png", encode_png(noise(3, 32, 32))},
                                                 {"a.tif", read_text(dir / "whole.tif")}};
  ::testing::internal::CaptureStderr();
  for (const auto& [name, whole] : files) {
    const auto file = dir / name;
    for (size_t length = 0; length < whole.size();
         length += std::max<size_t>(1, whole.size() / 97)) {
      overwrite(file, whole.substr(0, length));
      const std::string message = error_of([&] { read_picture(file, 1); });
      expect_sentence(message, file, {"; "});
      if (length > 200) EXPECT_NE(message.find("cut off"), std::string::npos) << message;
    }
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(Picture, WhatIsNoPictureGetsASentence) {
  TempDir dir;
  const auto message = [&](const std::string& bytes) {
    overwrite(dir / "x.png", bytes);
    return error_of([&] { read_picture(dir / "x.png", 3); });
  };
  expect_sentence(message(""), dir / "x.png", {"is empty"});
  expect_sentence(message("hello"), dir / "x.png", {"no PNG, JPEG, TIFF or DICOM"});
  expect_sentence(message("GIF89a..............."), dir / "x.png", {"is a GIF", "convert it"});
  expect_sentence(error_of([&] { read_picture(dir / "gone.png", 3); }), dir / "gone.png",
                  {"check the path"});
  expect_sentence(error_of([&] { read_picture(dir.path(), 3); }), dir.path(),
                  {"no file", "check the path"});
}

TEST(Picture, UnsupportedKindsGetASentence) {
  TempDir dir;
  const cv::Mat real(4, 4, CV_32FC1, cv::Scalar(0.5));
  cv::imwrite(dir / "float.tif", real);
  expect_sentence(error_of([&] { read_picture(dir / "float.tif", 1); }), dir / "float.tif",
                  {"8-bit nor 16-bit"});
  // A frame header that announces four components.
  std::string cmyk = smooth_jpeg();
  const size_t frame = cmyk.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  cmyk[frame + 9] = 4;
  overwrite(dir / "cmyk.jpg", cmyk);
  expect_sentence(error_of([&] { read_picture(dir / "cmyk.jpg", 3); }), dir / "cmyk.jpg", {"CMYK"});
  std::string flat = smooth_jpeg();
  flat[frame + 5] = flat[frame + 6] = 0;
  overwrite(dir / "flat.jpg", flat);
  expect_sentence(error_of([&] { read_picture(dir / "flat.jpg", 3); }), dir / "flat.jpg",
                  {"no pixels"});
}

// A whole file with damage inside: a PNG is always noticed (checksums); nothing ever crashes or
// prints.
TEST(Picture, DamageNeverCrashes) {
  TempDir dir;
  cv::imwrite(dir / "whole.tif", as_mat(noise(3, 16, 16)));
  const std::vector<std::pair<std::string, std::string>> files{
      {"a.png", encode_png(noise(3, 16, 16))},
      {"a.jpg", smooth_jpeg()},
      {"a.tif", read_text(dir / "whole.tif")}};
  std::mt19937 random(1);
  std::string first;
  int refused = 0;
  ::testing::internal::CaptureStderr();
  for (const auto& [name, whole] : files)
    for (int i = 0; i < 300; ++i) {
      std::string bytes = whole;
      for (int flips = 1 + i % 4; flips > 0; --flips)
        bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
      if (bytes == whole) continue;
      overwrite(dir / name, bytes);
      try {
        const auto pixels = read_picture(dir / name, 3);
        EXPECT_EQ(pixels.dim(), 3);
        EXPECT_NE(name, "a.png") << i;
      } catch (const Error& error) {
        ++refused;
        if (std::string(error.what()).find((dir / name).string()) != 0) first = error.what();
      }
    }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(first, "");
  EXPECT_GT(refused, 400);
}

TEST(Picture, RealFilesCutOff) {
  const auto data = testing_support::real_data();
  if (!std::filesystem::exists(data / "oai-knee"))
    GTEST_SKIP() << "real images not found: set STYLESCOPE_DATA";
  expect_sentence(error_of([&] { read_picture(data / "slides/broken.svs", 3); }),
                  data / "slides/broken.svs", {"; "});
  TempDir dir;
  int64_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data / "oai-knee/val/0")) {
    if (++seen > 40) break;
    EXPECT_EQ(read_picture(entry.path(), 1).sizes(), (std::vector<int64_t>{1, 128, 128}));
    const std::string whole = read_text(entry.path());
    overwrite(dir / "cut.jpg", whole.substr(0, whole.size() * static_cast<size_t>(seen) / 41));
    expect_sentence(error_of([&] { read_picture(dir / "cut.jpg", 1); }), dir / "cut.jpg",
                    {"cut off"});
  }
  EXPECT_GT(seen, 40);
}

TEST(Picture, ShrinksByAreaAveragingAndCropsTheMiddle) {
  const auto pixels =
      torch::tensor({9, 10, 20, 30, 40, 9, 9, 50, 60, 70, 80, 9}, torch::kUInt8).view({1, 2, 6});
  // The middle 2x2 of 2x6 is columns 2 and 3: 20 30 / 60 70.
  EXPECT_EQ(resize_picture(pixels, 1).item<int>(), 45);
  EXPECT_TRUE(resize_picture(pixels, 2).equal(
      torch::tensor({20, 30, 60, 70}, torch::kUInt8).view({1, 2, 2})));
  const auto image = noise(3, 12, 12);
  const auto expected = image.to(torch::kFloat64).view({3, 4, 3, 4, 3}).mean(at::IntArrayRef{2, 4});
  EXPECT_LE((resize_picture(image, 4).to(torch::kFloat64) - expected).abs().max().item<double>(),
            0.51);
  EXPECT_EQ(resize_picture(image, 30).sizes(), (std::vector<int64_t>{3, 30, 30}));
}

TEST(Picture, Grid) {
  const auto images = torch::arange(1, 13).to(torch::kUInt8).view({3, 1, 2, 2});
  const auto expected =
      torch::tensor({1, 2, 5, 6, 3, 4, 7, 8, 9, 10, 0, 0, 11, 12, 0, 0}, torch::kUInt8);
  EXPECT_TRUE(tile_grid(images, 2).equal(expected.view({1, 4, 4})));
}

TEST(Picture, NetworkRange) {
  const auto values = torch::tensor({-2.0, -1.0, 0.0, 0.5, 1.0, 9.0}, torch::kFloat64);
  EXPECT_TRUE(to_uint8(values).equal(torch::tensor({0, 0, 128, 191, 255, 255}, torch::kUInt8)));
  const auto bytes = torch::arange(256).to(torch::kUInt8);
  EXPECT_TRUE(to_uint8(to_network(bytes, torch::kFloat32)).equal(bytes));
  EXPECT_EQ(to_network(bytes, torch::kFloat64)[255].item<double>(), 1.0);
}

}  // namespace
}  // namespace stylescope
