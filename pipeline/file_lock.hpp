#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

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

// Who holds a FileLock, as far as can be told without taking it: a look disturbs nobody. A holder
// on another host is seen on file systems that keep locks for all hosts (NFS); `certain` says
// whether "nobody" is sure, or only that the last holder wrote the name of another host.
struct LockView {
  bool held = false;
  bool certain = true;
  std::string host;  // of the holder, or of the last one; "": none was ever there
  int64_t pid = 0;
};
LockView look_at_lock(const std::filesystem::path& file);

}  // namespace stylescope
