#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <torch/torch.h>

// Pictures in and out: PNG, JPEG, TIFF in; PNG out. OpenCV stays behind this header.
namespace stylescope {

// (C, H, W) uint8, C as asked for (1: luminance; 3: RGB). 16-bit pictures are scaled by 65535 ->
// 255; alpha is dropped. Of a TIFF with several pages the first is read; an EXIF orientation is not
// applied. Throws Error: file, what is wrong (no picture, cut off, damaged, empty, CMYK,
// unsupported depth), what to do. Decoders print nothing: stderr of the whole process goes to
// memory meanwhile, one picture at a time.
torch::Tensor read_picture(const std::filesystem::path& file, int64_t channels);

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
