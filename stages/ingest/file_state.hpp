#pragma once

#include "io/sha256.hpp"

#include <filesystem>
#include <string>

namespace stylescope {

// Adds a picture to a fingerprint, by `name`, size and time of change and not by its content. A
// file that cannot be looked at counts too: as one without size and time.
void add_file_state(Sha256& hash, const std::string& name, const std::filesystem::path& file);

}  // namespace stylescope
