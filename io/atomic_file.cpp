#include "io/atomic_file.hpp"

#include "io/base/error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <random>
#include <sstream>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

[[noreturn]] void fail(const fs::path& path, const char* action, int code) {
  std::string advice;
  if (code == ENOSPC || code == EDQUOT)
    advice = "; free space there (nothing was changed), then run again";
  else if (code == EACCES || code == EPERM || code == EROFS)
    advice = "; choose a folder that you may write to";
  throw Error(detail::concatenate(path.string(), ": cannot ", action, " (", std::strerror(code),
                                  ")", advice));
}

// A file descriptor that is closed on every way out.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags)
      : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC)) {
    if (fd_ < 0) fail(path_, "open", errno);
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void sync() {
    if (::fsync(fd_) != 0) fail(path_, "write to disk", errno);
  }

 private:
  fs::path path_;
  int fd_;
};

void sync_file(const fs::path& path) { Descriptor(path, O_RDONLY).sync(); }
void sync_folder(const fs::path& path) {
  Descriptor(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY).sync();
}

void rename_or_fail(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(to, "publish", errno);
  sync_folder(to.parent_path());
}

}  // namespace

void publish_file(const fs::path& target, const std::function<void(const fs::path&)>& write) {
  // Process ids repeat from host to host, and inside containers.
  const fs::path temporary = target.string() + ".tmp" + std::to_string(::getpid()) + "-" +
                             std::to_string(std::random_device()());
  try {
    write(temporary);
    sync_file(temporary);
    rename_or_fail(temporary, target);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

void publish_text(const fs::path& target, std::string_view text) {
  publish_file(target, [&](const fs::path& temporary) {
    std::ofstream out(temporary, std::ios::binary);
    if (!out) fail(target, "write", errno);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.close();
    if (!out) fail(target, "write", errno);
  });
}

void publish_directory(const fs::path& partial, const fs::path& target) {
  validate(!fs::exists(target), target.string(),
           ": is already there; a finished folder is never written over");
  for (const auto& entry : fs::recursive_directory_iterator(partial)) {
    if (entry.is_regular_file()) sync_file(entry.path());
    if (entry.is_directory()) sync_folder(entry.path());
  }
  sync_folder(partial);
  rename_or_fail(partial, target);
}

void sync_to_disk(const fs::path& file) {
  sync_file(file);
  sync_folder(file.parent_path());
}

void start_writeback(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
  ::close(descriptor);
}

std::string read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) fail(file, "read", errno);
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) fail(file, "read", errno);
  return text.str();
}

}  // namespace stylescope
