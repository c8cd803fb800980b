#pragma once

#include "io/picture.hpp"
#include "tests/io/faults.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace stylescope::testing_support {

constexpr const char* kNoPatches =
    "no PCam patches: set STYLESCOPE_DATA to the folder that holds pcam/";

// About n patches of Camelyon16 slides, planar (3, 96, 96), spread over both classes; empty when
// they are not at hand.
inline std::vector<std::vector<uint8_t>> real_patches(size_t n) {
  std::vector<std::vector<uint8_t>> out;
  for (const auto* label : {"0", "1"}) {
    const auto folder = real_data() / "pcam" / "train" / label;
    if (!std::filesystem::is_directory(folder)) return {};
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      files.push_back(entry.path());
    std::ranges::sort(files);
    const size_t step = std::max<size_t>(1, files.size() / (n / 2));
    for (size_t i = 0; i < files.size(); i += step) {
      const auto picture = read_picture(files[i], 3);
      const auto* pixels = picture.const_data_ptr<uint8_t>();
      out.emplace_back(pixels, pixels + picture.numel());
    }
  }
  return out;
}

}  // namespace stylescope::testing_support
