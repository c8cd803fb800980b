#pragma once

#include <filesystem>
#include <string_view>

namespace stylescope {

// Appends to a file, which is made when there is none: all of `bytes`, or nothing and an Error.
void append_to_file(const std::filesystem::path& file, std::string_view bytes);

}  // namespace stylescope
