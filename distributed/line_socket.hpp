#pragma once

#include "io/base/descriptor.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// TCP with lines of tab-separated fields, for the monitor: a few bytes a second between ranks.
namespace stylescope {

class LineSocket {
 public:
  LineSocket() = default;
  explicit LineSocket(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

  int fd() const { return descriptor_.get(); }
  bool open() const { return static_cast<bool>(descriptor_); }
  void close() { descriptor_.reset(); }

  // False, and closed, when the other side is gone or takes nothing any more. Never blocks for
  // longer than the kernel's buffer allows: lines are short.
  bool send(const std::vector<std::string>& fields);
  // What has arrived, in whole lines; without waiting. Closed when the other side is gone: what
  // came before is still returned.
  std::vector<std::vector<std::string>> receive();

 private:
  Descriptor descriptor_;
  std::string pending_;
};

// A listening socket on a free port of all addresses of this host, and these addresses.
struct Listener {
  Descriptor descriptor;
  std::vector<std::string> addresses;  // numeric, loopback last
  std::string port;
};
// Throws Error.
Listener listen_anywhere();
// Nothing where no one has connected.
std::optional<LineSocket> accept_from(const Listener& listener);
// Nothing when it did not succeed within the time.
std::optional<LineSocket> connect_to(const std::string& address, const std::string& port,
                                     std::chrono::milliseconds patience);
// Sleeps until one of them can be read (or was closed), or the time is over. Not the open ones are
// passed over.
void wait_readable(const std::vector<int>& descriptors, std::chrono::milliseconds time);

}  // namespace stylescope
