#include "io/append_file.hpp"

#include "io/base/error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace stylescope {

void append_to_file(const std::filesystem::path& file, std::string_view bytes) {
  const auto refuse = [&](int code) {
    throw Error(file.string() + ": cannot be written (" + std::strerror(code) +
                "); check the disk's space and permissions, then run again");
  };
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) refuse(errno);
  const off_t before = ::lseek(fd, 0, SEEK_END);
  size_t done = 0;
  int code = 0;
  while (done < bytes.size() && code == 0) {
    const ssize_t written = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (written > 0)
      done += static_cast<size_t>(written);
    else if (written == 0 || errno != EINTR)
      code = written == 0 ? ENOSPC : errno;
  }
  const bool whole = done == bytes.size();
  // Half a line would spoil the next one.
  const bool undone = whole || ::ftruncate(fd, before) == 0;
  ::close(fd);
  if (!whole || !undone) refuse(code);
}

}  // namespace stylescope
