#pragma once

#include "io/dicom.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// Pictures in and out: PNG, JPEG, TIFF and DICOM in; PNG out. OpenCV stays behind this header.
namespace stylescope {

// What was seen in 16-bit pictures of a depth that is not said. From any thread.
class PictureTally {
 public:
  void add(int64_t largest);
  // A sentence, where all of them are as dark as if they used 14 bits or fewer; else "". Nothing is
  // brightened of itself: a dark picture among others would become another one.
  std::string warning() const;

 private:
  std::atomic<int64_t> pictures_ = 0, largest_ = 0;
};

struct PictureSettings {
  DicomOptions dicom;
  // Of what is stored with 16 bits, those in use: white is 2^n - 1. 0: not said, and white is
  // 65535.
  int64_t bit_depth = 0;
  std::shared_ptr<PictureTally> tally;  // may be empty
};

// A picture of any kind (PNG, JPEG, TIFF, DICOM, told by its bytes): (C, H, W) uint8, C as asked
// for (1: luminance; 3: RGB). Alpha is dropped; an EXIF orientation is not applied. Throws Error:
// file, what is wrong (no picture, cut off, damaged, empty, CMYK, animated, several pages or
// frames, unsupported depth, above the depth that is said), what to do. Decoders print nothing:
// stderr of the whole process goes to memory meanwhile, one picture at a time.
torch::Tensor read_picture(const std::filesystem::path& file, int64_t channels,
                           const PictureSettings& settings = {});
// The same of a file's content that is in memory; `name` stands for it in messages.
torch::Tensor decode_picture(const std::string& bytes, const std::string& name, int64_t channels,
                             const PictureSettings& settings = {});

// Throws Error where a picture (C, H, W) would have to be enlarged more than eightfold for `size`:
// a single pixel, say, is no picture.
void check_picture_size(const std::string& name, const torch::Tensor& pixels, int64_t size);

// Area averaging down to size x size, centre-cropped to a square first. Enlarging is bilinear.
torch::Tensor resize_picture(const torch::Tensor& pixels, int64_t size);

// (C, H, W) uint8, C = 1 or 3.
void write_png(const std::filesystem::path& file, const torch::Tensor& pixels);
std::string encode_png(const torch::Tensor& pixels);

// (N, C, H, W) uint8 laid out row by row, `columns` across: one (C, rows*H, columns*W) picture.
torch::Tensor tile_grid(const torch::Tensor& images, int64_t columns);
// Network range [-1, 1] to uint8: round(x * 127.5 + 127.5), clamped.
torch::Tensor to_uint8(const torch::Tensor& images);
// uint8 to network range: x / 127.5 - 1, in the dtype of `options`.
torch::Tensor to_network(const torch::Tensor& images, const torch::TensorOptions& options);

}  // namespace stylescope
