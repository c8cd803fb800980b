#pragma once

#include "io/checkpoint.hpp"

#include <filesystem>

namespace stylescope {

// A checkpoint under any name. Throws Error: no checkpoint, not whole, damaged (its SHA-256 is
// compared). In io/checkpoint.cpp.
Checkpoint read_checkpoint(const std::filesystem::path& file);

}  // namespace stylescope
