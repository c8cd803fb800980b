#include "pipeline/file_lock.hpp"

#include "distributed/host.hpp"
#include "io/base/error.hpp"
#include "io/utc_time.hpp"

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace stylescope {
namespace {

// Does /proc/locks of this host list an flock on the file? Layered file systems show another device
// there than stat does, so the process that the file names counts as well.
bool listed_here(int descriptor, int64_t named_pid) {
  struct stat file {};
  if (::fstat(descriptor, &file) != 0) return false;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    // "1: FLOCK  ADVISORY  WRITE 1234 08:01:131090 0 EOF"; "1: -> FLOCK ..." only waits.
    long pid = 0;
    unsigned major = 0, minor = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(), "%*d: FLOCK %*s %*s %ld %x:%x:%lu", &pid, &major, &minor,
                    &inode) != 4 ||
        inode != file.st_ino)
      continue;
    if (pid == named_pid || (major == ::major(file.st_dev) && minor == ::minor(file.st_dev)))
      return true;
  }
  return false;
}

// NFS keeps an flock as a lock of the whole file that other hosts can ask for.
bool locked_by_another_host(int descriptor) {
  struct flock ask {};
  ask.l_type = F_WRLCK;
  ask.l_whence = SEEK_SET;
  return ::fcntl(descriptor, F_GETLK, &ask) == 0 && ask.l_type != F_UNLCK;
}

}  // namespace

LockView look_at_lock(const std::filesystem::path& file) {
  LockView view;
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return view;
  const std::string holder = Flock::content(file);
  char host[256] = "";
  long pid = 0;
  if (std::sscanf(holder.c_str(), "process %ld on %255s since", &pid, host) == 2) {
    view.pid = pid;
    view.host = host;
  }
  view.held = listed_here(descriptor, view.pid) || locked_by_another_host(descriptor);
  view.certain = view.held || view.host.empty() || view.host == host_name();
  ::close(descriptor);
  return view;
}

FileLock::FileLock(const std::filesystem::path& file, Mode mode) : flock_(file) {
  if (!flock_.lock(mode, Flock::Wait::no)) {
    const std::string holder = flock_.content();
    throw TransientError(
        detail::concatenate(file.string(), ": another run works there (",
                            holder.empty() ? "a process that has not given its name" : holder,
                            "); wait until it has ended, or choose another run_dir"));
  }
  sign();
}

std::unique_ptr<FileLock> FileLock::if_free(const std::filesystem::path& file, Mode mode) {
  std::unique_ptr<FileLock> lock(new FileLock(file));
  if (!lock->flock_.lock(mode, Flock::Wait::no)) return nullptr;
  lock->sign();
  return lock;
}

void FileLock::sign() {
  flock_.write(
      detail::concatenate("process ", ::getpid(), " on ", host_name(), " since ", utc_time()));
}

}  // namespace stylescope
