#pragma once

#include "io/base/error.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace stylescope {

// A folder of this process, removed with what it holds.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::filesystem::path& parent) {
    std::string name =
        ((parent.empty() ? std::filesystem::temp_directory_path() : parent) / "stylescope-XXXXXX")
            .string();
    validate(::mkdtemp(name.data()) != nullptr, name,
             ": cannot be made (no such folder, or not writable); choose another --dir");
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace stylescope
