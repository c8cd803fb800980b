#include "pipeline/file_lock.hpp"

#include "distributed/host.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "pipeline/provenance.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

namespace stylescope {
namespace {

std::string content_of(int descriptor) {
  char text[512];
  const ssize_t size = ::pread(descriptor, text, sizeof text, 0);
  return size > 0 ? std::string(text, static_cast<size_t>(size))
                  : "a process that has not given its name";
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& file, Mode mode)
    : descriptor_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  validate(descriptor_ >= 0, file.string(), ": cannot be written (", std::strerror(errno),
           "); choose a run directory that you may write to");
  const int operation = (mode == Mode::exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  if (::flock(descriptor_, operation) != 0) {
    const int code = errno;
    const std::string holder = content_of(descriptor_);
    if (code == EWOULDBLOCK) {
      ::close(std::exchange(descriptor_, -1));
      throw Error(detail::concatenate(file.string(), ": another run works there (", holder,
                                      "); wait until it has ended, or choose another run_dir"));
    }
    log::warn("{}: cannot be locked ({}); see to it that no other run works there", file.string(),
              std::strerror(code));
    return;
  }
  const std::string holder =
      detail::concatenate("process ", ::getpid(), " on ", host_name(), " since ", utc_time());
  const bool written = ::ftruncate(descriptor_, 0) == 0 &&
                       ::pwrite(descriptor_, holder.data(), holder.size(), 0) >= 0;
  if (!written) log::warn("{}: cannot be written ({})", file.string(), std::strerror(errno));
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace stylescope
