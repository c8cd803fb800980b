#pragma once

#include "io/image_set.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// What `export images` and `export tiles` have in common: where the images lie, and which of them.
namespace stylescope {

struct ExportSource {
  std::string source;  // a run directory, or an images.h5
  std::string out;     // must not be there yet, or be an empty folder
  std::string split;   // "": all

  // The images.h5. It need not exist.
  std::filesystem::path images_file() const;
  // Throws UsageError.
  void prepare() const;
  // Throws Error when there are none.
  std::vector<int64_t> rows(const ImageSet& images) const;
};

// Throws Error.
void make_export_folder(const std::filesystem::path& folder);

}  // namespace stylescope
