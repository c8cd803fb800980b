#pragma once

#include "io/image_set.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// The first training images of each class, a row each, as one picture.
class ContactSheet {
 public:
  ContactSheet(size_t classes, int64_t channels, int64_t size);
  bool wants(const ImageRecord& record) const;
  // pixels: (C, size, size) uint8. Passed over where its row is full or it is no training image.
  void add(const torch::Tensor& pixels, const ImageRecord& record);
  void write(const std::filesystem::path& file) const;

 private:
  torch::Tensor images_;
  std::vector<int64_t> filled_;
};

}  // namespace stylescope
