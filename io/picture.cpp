#include "io/picture.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/picture_check.hpp"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace stylescope {
namespace {

// The decoders below OpenCV (libjpeg, libpng, libtiff) say what is wrong with a picture on stderr
// and nowhere else. While one of these lives, stderr goes to memory; one at a time in the process.
class CapturedStderr {
 public:
  CapturedStderr() : lock_(mutex()), memory_(::memfd_create("stderr", MFD_CLOEXEC)) {
    std::fflush(stderr);
    saved_ = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (memory_ >= 0 && saved_ >= 0) ::dup2(memory_, STDERR_FILENO);
  }
  ~CapturedStderr() { restore(); }
  CapturedStderr(const CapturedStderr&) = delete;
  CapturedStderr& operator=(const CapturedStderr&) = delete;

  // Gives stderr back and returns what was printed to it, as one line.
  std::string restore() {
    std::string text;
    std::fflush(stderr);
    if (saved_ >= 0) {
      ::dup2(saved_, STDERR_FILENO);
      ::close(std::exchange(saved_, -1));
    }
    if (memory_ >= 0) {
      text.resize(4096);
      text.resize(
          static_cast<size_t>(std::max<ssize_t>(0, ::pread(memory_, text.data(), text.size(), 0))));
      ::close(std::exchange(memory_, -1));
    }
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::ranges::replace(text, '\n', ' ');
    return text;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  std::unique_lock<std::mutex> lock_;
  int memory_ = -1;
  int saved_ = -1;
};

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

void check_pixels(const torch::Tensor& pixels) {
  SS_CHECK(pixels.dim() == 3 && pixels.scalar_type() == torch::kUInt8 && pixels.numel() > 0,
           "expected (C, H, W) uint8, got ", pixels.sizes());
}

}  // namespace

torch::Tensor read_picture(const std::filesystem::path& file, int64_t channels) {
  SS_CHECK(channels == 1 || channels == 3);
  std::error_code error;
  validate(std::filesystem::is_regular_file(file, error), file.string(),
           ": is no file that can be read", error ? " (" + error.message() + ")" : "",
           "; check the path");
  const std::string bytes = read_text(file);
  validate(bytes.size() < (size_t{1} << 31), file.string(),
           ": is larger than 2 GiB; a slide of this size must be cut into tiles first");
  const std::string problem = picture_problem(bytes);
  validate(problem.empty(), file.string(), ": ", problem);

  const auto [decoded, message] = decode(bytes);
  validate(!decoded.empty(), file.string(), ": cannot be decoded",
           message.empty() ? "" : " (" + message + ")", "; copy or save it again");
  validate(!says_damaged(message), file.string(), ": is damaged (", message,
           "); copy or download it again");
  if (!message.empty()) log::debug("{}: {}", file.string(), message);
  validate(
      decoded.depth() == CV_8U || decoded.depth() == CV_16U, file.string(),
      ": has pixels that are neither 8-bit nor 16-bit whole numbers; save it as 8-bit or 16-bit");
  validate(decoded.channels() == 1 || decoded.channels() == 3 || decoded.channels() == 4,
           file.string(), ": has ", decoded.channels(), " channels; save it as grey or RGB");
  cv::Mat picture = with_channels(decoded, channels);
  if (picture.depth() == CV_16U) picture.convertTo(picture, CV_8U, 255.0 / 65535.0);
  return as_tensor(picture);
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
