#include "io/captured_stderr.hpp"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <iostream>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace stylescope {
namespace {

std::mutex& one_at_a_time() {
  static std::mutex one;
  return one;
}

std::string as_one_line(const std::string& text) {
  std::string line;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string one = text.substr(at, end - at);
    at = end + 1;
    if (one.starts_with("Error: In ")) one = "Error:";
    if (one.starts_with("Warning: In ")) one = "Warning:";
    if (!one.empty()) line += (line.empty() ? "" : " ") + one;
  }
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return line;
}

}  // namespace

CapturedStderr::CapturedStderr()
    : lock_(one_at_a_time()), memory_(::memfd_create("stderr", MFD_CLOEXEC)) {
  std::fflush(stderr);
  saved_ = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (memory_ >= 0 && saved_ >= 0) ::dup2(memory_, STDERR_FILENO);
}

CapturedStderr::~CapturedStderr() { restore(); }

std::string CapturedStderr::restore() {
  std::string text;
  std::fflush(stderr);
  std::cerr.flush();
  if (saved_ >= 0) {
    ::dup2(saved_, STDERR_FILENO);
    ::close(std::exchange(saved_, -1));
  }
  if (memory_ >= 0) {
    text.resize(4096);
    text.resize(
        static_cast<size_t>(std::max<ssize_t>(0, ::pread(memory_, text.data(), text.size(), 0))));
    ::close(std::exchange(memory_, -1));
  }
  return as_one_line(text);
}

}  // namespace stylescope
