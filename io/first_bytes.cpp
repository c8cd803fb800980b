#include "io/first_bytes.hpp"

#include <algorithm>
#include <fstream>

namespace stylescope {

std::string first_bytes(const std::filesystem::path& file, size_t count) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes(count, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<size_t>(std::max<std::streamsize>(0, in.gcount())));
  return bytes;
}

}  // namespace stylescope
