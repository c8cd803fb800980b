#pragma once

#include "io/hdf5_file.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// Reads images whose places in their files are known, by pread and ChunkDecoder: HDF5 has no part
// in it. Of one or several files with images of one shape.
class ImagePixels {
 public:
  // shape: (C, H, W). advice: what an Error says to do. most_open: files held open at a time.
  ImagePixels(std::vector<int64_t> shape, std::string advice, size_t most_open = 256);
  ~ImagePixels();
  ImagePixels(ImagePixels&&) noexcept;
  ImagePixels& operator=(ImagePixels&&) noexcept;

  // The images of `file` follow those of the files before. False, and nothing is added, when data
  // set `images` lies in a way or has filters that are not for this class.
  bool add(const std::filesystem::path& file, const hdf5::Dataset& images);
  int64_t size() const;

  // (n, C, H, W) uint8, CPU; an image that was never written is zeros. From any thread; many
  // compressed images are decoded by up to at::get_num_threads() threads of its own. Throws Error
  // naming the file and the image's row in it when a file is gone, was changed or is damaged.
  torch::Tensor read(at::ArrayRef<int64_t> indices) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stylescope
