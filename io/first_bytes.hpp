#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace stylescope {

// The first `count` bytes of a file, or as many as there are: none where it cannot be read.
std::string first_bytes(const std::filesystem::path& file, size_t count);

}  // namespace stylescope
