#include "io/flock.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sys/file.h>
#include <unistd.h>

namespace stylescope {

Flock::Flock(const std::filesystem::path& file)
    : file_(file), descriptor_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  validate(descriptor_ >= 0, file.string(), ": cannot be written (", std::strerror(errno),
           "); choose a run directory that you may write to");
}

Flock::~Flock() { ::close(descriptor_); }

bool Flock::lock(Mode mode, Wait wait) {
  const int operation =
      (mode == Mode::exclusive ? LOCK_EX : LOCK_SH) | (wait == Wait::no ? LOCK_NB : 0);
  int code = 0;
  do {
    code = ::flock(descriptor_, operation) == 0 ? 0 : errno;
  } while (code == EINTR);
  if (code == EWOULDBLOCK) return false;
  if (code != 0)
    log::warn("{}: cannot be locked ({}); see to it that no other run works there", file_.string(),
              std::strerror(code));
  return true;
}

std::string Flock::content(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

void Flock::write(const std::string& text) {
  const bool written =
      ::ftruncate(descriptor_, 0) == 0 && ::pwrite(descriptor_, text.data(), text.size(), 0) >= 0;
  if (!written) log::warn("{}: cannot be written ({})", file_.string(), std::strerror(errno));
}

}  // namespace stylescope
