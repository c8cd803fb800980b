#pragma once

#include <filesystem>

namespace stylescope {

// An flock on `file` for as long as the object lives; the file stays, the lock goes with the
// process however it ends. Held elsewhere: throws Error that names the process and host. File
// systems that know no flock give a warning.
class FileLock {
 public:
  enum class Mode { shared, exclusive };
  FileLock(const std::filesystem::path& file, Mode mode);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace stylescope
