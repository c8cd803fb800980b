#pragma once

#include <filesystem>
#include <string_view>

namespace stylescope {

// publish_text (io/atomic_file.hpp) for the user's eyes only: mode 0600, from the first byte on.
void publish_private_text(const std::filesystem::path& target, std::string_view text);

}  // namespace stylescope
