#pragma once

#include "io/flock.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace stylescope {

// A lock on `file` for as long as the object lives, with the name of its holder for whoever is
// refused: held elsewhere, it throws TransientError that names the process and host. File systems
// that know no flock give a warning.
class FileLock {
 public:
  using Mode = Flock::Mode;
  FileLock(const std::filesystem::path& file, Mode mode);
  // Nothing where it is held elsewhere.
  static std::unique_ptr<FileLock> if_free(const std::filesystem::path& file, Mode mode);

 private:
  explicit FileLock(const std::filesystem::path& file) : flock_(file) {}
  void sign();

  Flock flock_;
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
