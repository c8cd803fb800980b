#pragma once

#include "io/base/error.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

namespace stylescope {

// A folder of this process, removed with what it holds.
class ScratchFolder {
 public:
  // In `parent` (empty: the system's folder for temporary files). Throws Error, which ends in
  // `advice`.
  explicit ScratchFolder(const std::filesystem::path& parent,
                         const std::string& advice = "choose another --dir") {
    std::string name =
        ((parent.empty() ? std::filesystem::temp_directory_path() : parent) / "stylescope-XXXXXX")
            .string();
    validate(::mkdtemp(name.data()) != nullptr, name, ": cannot be made (", std::strerror(errno),
             "); ", advice);
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
