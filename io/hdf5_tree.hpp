#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// What an HDF5 file of any origin holds, for looking at it.
namespace stylescope::hdf5 {

struct Entry {
  std::string name;            // "group/name"
  bool group = false;          // else a data set
  std::vector<int64_t> shape;  // of a data set; {}: a single value
  std::string type;            // "uint8", "int64", "float32", "text", "compound", ...
};

// Groups and data sets below the root, by name, and no more than `most` of them. What cannot be
// opened (a link that leads nowhere) is passed over. Throws Error when the file cannot be opened;
// it must not be open elsewhere in the process.
std::vector<Entry> list_entries(const std::filesystem::path& file, size_t most);

}  // namespace stylescope::hdf5
