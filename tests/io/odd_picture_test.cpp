// Pictures that are whole, and yet not what a folder of pictures should hold.
#include "io/picture.hpp"
#include "tests/io/faults.hpp"

#include <memory>
#include <zlib.h>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::TempDir;

std::string big_endian(uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xff);
  return bytes;
}

std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string summed = type + data;
  const auto crc =
      ::crc32(0, reinterpret_cast<const Bytef*>(summed.data()), static_cast<uInt>(summed.size()));
  return big_endian(static_cast<uint32_t>(data.size())) + summed +
         big_endian(static_cast<uint32_t>(crc));
}

TEST(OddPicture, AnimatedFilesAreRefused) {
  TempDir dir;
  const auto message = [&](const std::string& bytes) {
    overwrite(dir / "x", bytes);
    return error_of([&] { read_picture(dir / "x", 3); });
  };
  std::string apng = encode_png(torch::full({1, 8, 8}, 7, torch::kUInt8));
  apng.insert(33, png_chunk("acTL", big_endian(12) + big_endian(0)));  // behind IHDR
  expect_sentence(message(apng), dir / "x",
                  {"is animated: 12 frames", "; save the one that is meant"});
  expect_sentence(message("GIF89a\1\1\1\1 NETSCAPE2.0 and so on"), dir / "x",
                  {"a GIF of several frames", "as PNG"});
  std::string webp = "RIFF....WEBPVP8X....";
  expect_sentence(message(webp + "\x02........."), dir / "x", {"a WebP of several frames"});
  expect_sentence(message(webp + "\x10........."), dir / "x", {"is a WebP file", "convert it"});
  expect_sentence(message("%PDF-1.4 ..."), dir / "x", {"is a PDF file"});

  std::string single = encode_png(torch::full({1, 8, 8}, 7, torch::kUInt8));
  single.insert(33, png_chunk("acTL", big_endian(1) + big_endian(0)));
  overwrite(dir / "single", single);
  EXPECT_EQ(read_picture(dir / "single", 1)[0][3][3].item<int>(), 7);
}

TEST(OddPicture, PagesOfATiffAreRefusedUnlessTheyAreSmallerVersions) {
  TempDir dir;
  const cv::Mat page(30, 20, CV_8UC1, cv::Scalar(9)), thumbnail(15, 10, CV_8UC1, cv::Scalar(9));
  ASSERT_TRUE(cv::imwritemulti(dir / "pages.tif", std::vector<cv::Mat>{page, page, page}));
  expect_sentence(error_of([&] { read_picture(dir / "pages.tif", 1); }), dir / "pages.tif",
                  {"holds 3 pages", "a picture has one"});
  ASSERT_TRUE(cv::imwritemulti(dir / "pyramid.tif", std::vector<cv::Mat>{page, thumbnail}));
  EXPECT_EQ(read_picture(dir / "pyramid.tif", 1).sizes(), (std::vector<int64_t>{1, 30, 20}));
}

TEST(OddPicture, WithoutPixelsOrWithOne) {
  TempDir dir;
  std::string none = encode_png(torch::zeros({1, 4, 4}, torch::kUInt8));
  none = none.substr(0, 8) +
         png_chunk("IHDR", big_endian(0) + big_endian(0) + std::string("\x08\0\0\0\0", 5)) +
         none.substr(33);
  overwrite(dir / "none.png", none);
  expect_sentence(error_of([&] { read_picture(dir / "none.png", 1); }), dir / "none.png",
                  {"has no pixels"});
  write_png(dir / "one.png", torch::zeros({1, 1, 1}, torch::kUInt8));
  const auto one = read_picture(dir / "one.png", 1);
  expect_sentence(error_of([&] { check_picture_size(dir / "one.png", one, 16); }), dir / "one.png",
                  {"is only 1 x 1 pixels, too small for a picture of 16 x 16"});
  const auto small = torch::zeros({1, 5, 4}, torch::kUInt8);
  EXPECT_NO_THROW(check_picture_size("small", small, 32));
  EXPECT_THROW(check_picture_size("small", small, 64), Error);
}

TEST(OddPicture, TwelveBitsOfSixteenAreToldAndCanBeConfigured) {
  TempDir dir;
  const cv::Mat dark = (cv::Mat_<uint16_t>(1, 3) << 0, 2048, 4011);
  const cv::Mat full = (cv::Mat_<uint16_t>(1, 3) << 0, 32768, 65535);
  cv::imwrite(dir / "dark.png", dark);
  cv::imwrite(dir / "dark.tif", dark);
  cv::imwrite(dir / "full.png", full);
  PictureSettings settings{.tally = std::make_shared<PictureTally>()};
  EXPECT_EQ(settings.tally->warning(), "");
  for (const char* name : {"dark.png", "dark.tif"})
    EXPECT_EQ(read_picture(dir / name, 1, settings).max().item<int>(), 16) << "not brightened";
  const std::string warning = settings.tally->warning();
  EXPECT_NE(warning.find("the 2 16-bit pictures is above 4011"), std::string::npos) << warning;
  EXPECT_NE(warning.find("set ingest.bit_depth: 12"), std::string::npos) << warning;
  read_picture(dir / "full.png", 1, settings);
  EXPECT_EQ(settings.tally->warning(), "") << "one that uses them all";

  settings.bit_depth = 12;
  const auto shown = read_picture(dir / "dark.png", 1, settings).flatten();
  EXPECT_TRUE(shown.equal(torch::tensor({0, 128, 250}, torch::kUInt8)));
  expect_sentence(error_of([&] { read_picture(dir / "full.png", 1, settings); }), dir / "full.png",
                  {"a pixel of 65535", "with 12 bits", "white is 4095"});
  // Pictures of 8 bits stay as they are.
  write_png(dir / "eight.png", torch::full({1, 2, 2}, 99, torch::kUInt8));
  EXPECT_EQ(read_picture(dir / "eight.png", 1, settings).max().item<int>(), 99);
}

}  // namespace
}  // namespace stylescope
