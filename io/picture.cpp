#include "io/picture.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/captured_stderr.hpp"
#include "io/dicom_data_set.hpp"
#include "io/log.hpp"
#include "io/picture_check.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace stylescope {
namespace {

constexpr int64_t kMostEnlarged = 8;

struct Decoded {
  cv::Mat picture;      // empty: the decoder gave up
  std::string message;  // what it said
};

Decoded decode(const std::string& bytes) {
  Decoded result;
  CapturedStderr captured;
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
    result.picture = cv::imdecode(raw, cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception& error) {
    result.message = error.err;
  } catch (const std::bad_alloc&) {
    result.message = "not enough memory for its pixels";
  }
  const std::string printed = captured.restore();
  if (!printed.empty()) result.message = printed;
  return result;
}

// libjpeg fills up what it cannot decode and goes on: its words for it all begin in one of these
// ways.
bool says_damaged(const std::string& message) {
  return message.find("Corrupt JPEG data") != std::string::npos ||
         message.find("Premature end") != std::string::npos ||
         message.find("Invalid") != std::string::npos;
}

cv::Mat with_channels(const cv::Mat& picture, int64_t channels) {
  constexpr int kToGrey[] = {-1, -1, -1, cv::COLOR_BGR2GRAY, cv::COLOR_BGRA2GRAY};
  constexpr int kToRgb[] = {-1, cv::COLOR_GRAY2RGB, -1, cv::COLOR_BGR2RGB, cv::COLOR_BGRA2RGB};
  const int code = (channels == 1 ? kToGrey : kToRgb)[picture.channels()];
  if (code < 0) return picture;
  cv::Mat converted;
  cv::cvtColor(picture, converted, code);
  return converted;
}

// (H, W, C) of OpenCV as (C, H, W).
torch::Tensor as_tensor(const cv::Mat& picture) {
  const cv::Mat whole = picture.isContinuous() ? picture : picture.clone();
  return torch::from_blob(whole.data, {whole.rows, whole.cols, whole.channels()}, torch::kUInt8)
      .permute({2, 0, 1})
      .clone(torch::MemoryFormat::Contiguous);
}

// 16 bits a value to 8: white is the largest number of the depth that is said, 65535 where none is.
cv::Mat in_8_bits(const cv::Mat& picture, const std::string& name,
                  const PictureSettings& settings) {
  double largest = 0;
  cv::minMaxIdx(picture.reshape(1), nullptr, &largest);
  if (settings.tally && settings.bit_depth == 0) settings.tally->add(static_cast<int64_t>(largest));
  const int64_t white = (int64_t{1} << (settings.bit_depth ? settings.bit_depth : 16)) - 1;
  validate(largest <= static_cast<double>(white), name, ": has a pixel of ", largest, ", and with ",
           settings.bit_depth, " bits (ingest.bit_depth) white is ", white,
           "; set it to what the pictures have");
  cv::Mat converted;
  picture.convertTo(converted, CV_8U, 255.0 / static_cast<double>(white));
  return converted;
}

void check_pixels(const torch::Tensor& pixels) {
  SS_CHECK(pixels.dim() == 3 && pixels.scalar_type() == torch::kUInt8 && pixels.numel() > 0,
           "expected (C, H, W) uint8, got ", pixels.sizes());
}

}  // namespace

torch::Tensor read_picture(const std::filesystem::path& file, int64_t channels,
                           const PictureSettings& settings) {
  std::error_code error;
  validate(std::filesystem::is_regular_file(file, error), file.string(),
           ": is no file that can be read", error ? " (" + error.message() + ")" : "",
           "; check the path");
  return decode_picture(read_text(file), file.string(), channels, settings);
}

torch::Tensor decode_picture(const std::string& bytes, const std::string& name, int64_t channels,
                             const PictureSettings& settings) {
  SS_CHECK(channels == 1 || channels == 3);
  validate(bytes.size() < (size_t{1} << 31), name,
           ": is larger than 2 GiB; a slide of this size must be cut into tiles first");
  if (looks_like_dicom(bytes)) return decode_dicom(bytes, name, channels, settings.dicom);
  const std::string problem = picture_problem(bytes);
  validate(problem.empty(), name, ": ", problem);

  const auto [decoded, message] = decode(bytes);
  validate(!decoded.empty(), name, ": cannot be decoded",
           message.empty() ? "" : " (" + message + ")", "; copy or save it again");
  validate(!says_damaged(message), name, ": is damaged (", message, "); copy or download it again");
  if (!message.empty()) log::debug("{}: {}", name, message);
  validate(
      decoded.depth() == CV_8U || decoded.depth() == CV_16U, name,
      ": has pixels that are neither 8-bit nor 16-bit whole numbers; save it as 8-bit or 16-bit");
  validate(decoded.channels() == 1 || decoded.channels() == 3 || decoded.channels() == 4, name,
           ": has ", decoded.channels(), " channels; save it as grey or RGB");
  const cv::Mat picture = with_channels(decoded, channels);
  return as_tensor(picture.depth() == CV_16U ? in_8_bits(picture, name, settings) : picture);
}

void check_picture_size(const std::string& name, const torch::Tensor& pixels, int64_t size) {
  const int64_t side = std::min(pixels.size(-1), pixels.size(-2));
  validate(side * kMostEnlarged >= size, name, ": is only ", pixels.size(-1), " x ",
           pixels.size(-2), " pixels, too small for a picture of ", size, " x ", size,
           " (it would be enlarged more than ", kMostEnlarged,
           "fold); give a larger one, or take it out of the folder");
}

void PictureTally::add(int64_t largest) {
  ++pictures_;
  int64_t known = largest_;
  while (known < largest && !largest_.compare_exchange_weak(known, largest)) {
  }
}

std::string PictureTally::warning() const {
  const int64_t pictures = pictures_, largest = largest_;
  const int used = std::bit_width(static_cast<uint64_t>(largest));
  if (pictures == 0 || used > 14) return "";
  const int depth = std::max(8, (used + 1) / 2 * 2);
  return detail::concatenate("no pixel of the ", pictures, " 16-bit pictures is above ", largest,
                             " of 65535, so that they come out dark; if they use ", depth,
                             " of their 16 bits, set ingest.bit_depth: ", depth);
}

torch::Tensor resize_picture(const torch::Tensor& pixels, int64_t size) {
  check_pixels(pixels);
  SS_CHECK(size > 0);
  const torch::Tensor source = pixels.cpu().contiguous();
  const auto height = static_cast<int>(source.size(1)), width = static_cast<int>(source.size(2));
  const int side = std::min(height, width), target = static_cast<int>(size);
  const cv::Rect middle((width - side) / 2, (height - side) / 2, side, side);
  torch::Tensor out = torch::empty({source.size(0), size, size}, torch::kUInt8);
  for (int64_t c = 0; c < source.size(0); ++c) {
    const cv::Mat plane(height, width, CV_8UC1, source[c].data_ptr());
    cv::Mat resized(target, target, CV_8UC1, out[c].data_ptr());
    cv::resize(plane(middle), resized, resized.size(), 0, 0,
               side > target ? cv::INTER_AREA : cv::INTER_LINEAR);
  }
  return out;
}

std::string encode_png(const torch::Tensor& pixels) {
  check_pixels(pixels);
  SS_CHECK(pixels.size(0) == 1 || pixels.size(0) == 3, "a PNG has 1 or 3 channels, not ",
           pixels.size(0));
  const torch::Tensor rows = pixels.cpu().permute({1, 2, 0}).contiguous();
  const cv::Mat rgb(static_cast<int>(rows.size(0)), static_cast<int>(rows.size(1)),
                    CV_8UC(static_cast<int>(rows.size(2))), rows.data_ptr());
  cv::Mat bgr = rgb;
  if (rgb.channels() == 3) cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  std::vector<uint8_t> bytes;
  SS_CHECK(cv::imencode(".png", bgr, bytes));
  return {bytes.begin(), bytes.end()};
}

void write_png(const std::filesystem::path& file, const torch::Tensor& pixels) {
  publish_text(file, encode_png(pixels));
}

torch::Tensor tile_grid(const torch::Tensor& images, int64_t columns) {
  SS_CHECK(images.dim() == 4 && images.size(0) > 0 && columns > 0);
  const int64_t count = images.size(0), c = images.size(1), h = images.size(2), w = images.size(3);
  const int64_t rows = (count + columns - 1) / columns;
  torch::Tensor cells = torch::zeros({rows * columns, c, h, w}, images.options());
  cells.narrow(0, 0, count).copy_(images);
  return cells.view({rows, columns, c, h, w})
      .permute({2, 0, 3, 1, 4})
      .reshape({c, rows * h, columns * w});
}

torch::Tensor to_uint8(const torch::Tensor& images) {
  return images.mul(127.5).add_(127.5).nan_to_num_(0.0).round_().clamp_(0, 255).to(torch::kUInt8);
}

torch::Tensor to_network(const torch::Tensor& images, const torch::TensorOptions& options) {
  return images.to(options).div(127.5).sub_(1.0);
}

}  // namespace stylescope
