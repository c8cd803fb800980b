#pragma once

#include "io/image_set.hpp"
#include "io/jpeg_codec.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

#include <torch/torch.h>

// Images and records for the tests of image sets: of each number its own.
namespace stylescope::testing_support {

// Smooth with some texture, so that every codec makes it smaller.
inline torch::Tensor sample_image(int64_t i, int64_t channels, int64_t size) {
  const auto ramp = torch::arange(size * size).view({size, size}).div(size, "floor");
  return torch::stack(std::vector<torch::Tensor>(static_cast<size_t>(channels), ramp))
      .mul(torch::arange(1, channels + 1).view({channels, 1, 1}))
      .add(torch::arange(size).remainder(5))
      .add(i * 7)
      .remainder(251)
      .to(torch::kUInt8)
      .contiguous();
}

inline std::string sample_jpeg(int64_t i, int64_t size, int quality = 80) {
  const auto rgb = sample_image(i, 3, size).permute({1, 2, 0}).contiguous();
  return encode_jpeg(rgb.data_ptr<uint8_t>(), size, size, 3 * size, 3, quality, true);
}

// What the stream shows, (3, size, size).
inline torch::Tensor decoded_jpeg(const std::string& stream, int64_t size) {
  auto rgb = torch::empty({size, size, 3}, torch::kUInt8);
  JpegDecoder().decode(stream, {}, JpegColor::as_marked, 1, size, size, rgb.data_ptr<uint8_t>(),
                       3 * size);
  return rgb.permute({2, 0, 1}).contiguous();
}

inline ImageRecord slide_record(const std::string& slide, int64_t i, Split split = Split::train) {
  return {i % 2,
          split,
          "patient of " + slide,
          slide + ".svs",
          {{"mpp", 0.5}, {"tissue", 0.25 * static_cast<double>(i % 4)}},
          slide,
          256.0 * static_cast<double>(i),
          16.5};
}

// A shard of images first .. first + count - 1; of Storage::jpeg every other one is a kept JPEG.
inline void write_shard(const std::filesystem::path& file, const std::string& slide, int64_t first,
                        int64_t count, Storage storage = Storage::zstd, Split split = Split::train,
                        int64_t size = 16) {
  std::filesystem::create_directories(file.parent_path());
  ImageSetWriter writer(file, 3, size, size, {"normal", "tumour"}, "{}",
                        {.storage = storage, .level = 1, .shard = true});
  for (int64_t i = first; i < first + count; ++i)
    if (storage == Storage::jpeg && i % 2 == 1)
      writer.append(keep_jpeg(sample_jpeg(i, size)), slide_record(slide, i, split));
    else
      writer.append(sample_image(i, 3, size), slide_record(slide, i, split));
  writer.close();
}

// What image i of write_shard reads as.
inline torch::Tensor expected_image(int64_t i, Storage storage, int64_t size = 16) {
  return storage == Storage::jpeg && i % 2 == 1 ? decoded_jpeg(sample_jpeg(i, size), size)
                                                : sample_image(i, 3, size);
}

}  // namespace stylescope::testing_support
