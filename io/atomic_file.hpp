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

// fsyncs a file and the folder that names it.
void sync_to_disk(const std::filesystem::path& file);

// Lets the system begin to write what was written to `file` so far, so that a later fsync has less
// to wait for. A hint: never fails.
void start_writeback(const std::filesystem::path& file);

// The whole content. Throws Error.
std::string read_text(const std::filesystem::path& file);

}  // namespace stylescope
