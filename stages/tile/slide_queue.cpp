#include "stages/tile/slide_queue.hpp"

#include "io/base/error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace fs = std::filesystem;

namespace stylescope {

SlideQueue::SlideQueue(Communicator& world, fs::path folder, int64_t n)
    : world_(world), folder_(std::move(folder)), n_(n) {
  on_root(world_, [&] {
    std::error_code failure;
    fs::remove_all(folder_, failure);
    if (!failure) fs::create_directories(folder_, failure);
    validate(!failure, folder_.string(), ": cannot be made (", failure.message(),
             "); check the run directory's permissions");
  });
  work_.emplace(world_);
}

std::optional<int64_t> SlideQueue::take() {
  for (; next_ < n_; ++next_) {
    const fs::path claim = folder_ / std::to_string(next_);
    const int file = ::open(claim.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (file >= 0) {
      ::close(file);
      return next_++;
    }
    validate(errno == EEXIST, claim.string(), ": cannot be made (", std::strerror(errno),
             "); check the disk's space and permissions");
  }
  return std::nullopt;
}

void SlideQueue::close() {
  work_.reset();
  world_.barrier();
  on_root(world_, [&] {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  });
}

}  // namespace stylescope
