#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

// Files and folders become visible whole or not at all: written beside their place, fsynced,
// renamed, and the folder fsynced. Every failure throws Error with the file, the system's reason
// and what to do.
namespace stylescope {

// Calls write(temporary path), then publishes what it wrote as `target`. On an exception the
// temporary file is removed.
void publish_file(const std::filesystem::path& target,
                  const std::function<void(const std::filesystem::path&)>& write);
void publish_text(const std::filesystem::path& target, std::string_view text);
// fsyncs every file below `partial` and the folders, then renames it to `target`, which must not
// exist.
void publish_directory(const std::filesystem::path& partial, const std::filesystem::path& target);

// The whole content. Throws Error.
std::string read_text(const std::filesystem::path& file);

}  // namespace stylescope
