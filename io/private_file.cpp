#include "io/private_file.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace stylescope {
namespace {

// 0, or the reason (errno) why not all of it was written.
int write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

}  // namespace

void publish_private_text(const std::filesystem::path& target, std::string_view text) {
  publish_file(target, [&](const std::filesystem::path& temporary) {
    const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int failure = file < 0 ? errno : write_all(file, text);
    if (file >= 0 && ::close(file) != 0 && failure == 0) failure = errno;
    validate(failure == 0, target.string(), ": cannot be written (", std::strerror(failure),
             "); free space there, or choose a folder that you may write to");
  });
}

}  // namespace stylescope
