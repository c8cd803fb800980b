#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

// Two kinds of failure. A user's, a file's or a cluster's fault throws one of the classes below,
// worded "file: problem (why it is one); what to do". A fault of ours fails a CHECK. Everything is
// caught once, in pipeline/main.cpp, which turns it into an exit code.
namespace stylescope {

enum class ExitCode : int { done = 0, failed = 1, bad_usage = 2, interrupted = 75 };

// Exit code 1: the work could not be done.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Exit code 2: bad usage or configuration, found before any work.
class UsageError : public Error {
 public:
  using Error::Error;
};

// Exit code 75: a checkpoint was written; run again to go on.
class Interrupted : public Error {
 public:
  using Error::Error;
};

// Exit code 1: the cluster's fault (another rank, the network, a device), which another try need
// not meet.
class TransientError : public Error {
 public:
  using Error::Error;
};

namespace detail {
template <class... Parts>
std::string concatenate(Parts&&... parts) {
  std::ostringstream text;
  ((text << std::forward<Parts>(parts)), ...);
  return text.str();
}
[[noreturn]] inline void check_failed(const char* file, int line, const char* condition,
                                      const std::string& detail) {
  throw std::logic_error(concatenate(file, ":", line, ": this is a bug of stylescope: ", condition,
                                     detail.empty() ? "" : ": ", detail));
}
}  // namespace detail

// Throws Error unless `ok`: validate(n > 0, path, ": holds no images (...); ...").
template <class... Parts>
void validate(bool ok, Parts&&... parts) {
  if (!ok) throw Error(detail::concatenate(std::forward<Parts>(parts)...));
}

}  // namespace stylescope

// Always on: an invariant of ours, with optional detail: SS_CHECK(a == b, "a is ", a).
#define SS_CHECK(condition, ...)                                                          \
  do {                                                                                    \
    if (!(condition)) [[unlikely]]                                                        \
      ::stylescope::detail::check_failed(__FILE__, __LINE__, #condition,                  \
                                         ::stylescope::detail::concatenate(__VA_ARGS__)); \
  } while (false)
