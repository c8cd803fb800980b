#include "distributed/line_socket.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ifaddrs.h>
#include <memory>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stylescope {
namespace {

constexpr size_t kLongestLine = 1 << 16;

// Tabs and line ends separate: they are written as \t and \n.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\t')
      result += "\\t";
    else if (c == '\n')
      result += "\\n";
    else if (c == '\\')
      result += "\\\\";
    else
      result += c;
  }
  return result;
}

std::vector<std::string> fields_of(std::string_view line) {
  std::vector<std::string> fields(1);
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\t') {
      fields.emplace_back();
    } else if (line[i] == '\\' && i + 1 < line.size()) {
      const char next = line[++i];
      fields.back() += next == 't' ? '\t' : next == 'n' ? '\n' : next;
    } else {
      fields.back() += line[i];
    }
  }
  return fields;
}

Descriptor bound_socket(int family) {
  Descriptor made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) return made;
  sockaddr_storage any{};
  socklen_t length = 0;
  if (family == AF_INET6) {
    const int off = 0;
    ::setsockopt(made.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    auto* address = reinterpret_cast<sockaddr_in6*>(&any);
    address->sin6_family = AF_INET6;
    address->sin6_addr = in6addr_any;
    length = sizeof(sockaddr_in6);
  } else {
    auto* address = reinterpret_cast<sockaddr_in*>(&any);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_ANY);
    length = sizeof(sockaddr_in);
  }
  if (::bind(made.get(), reinterpret_cast<sockaddr*>(&any), length) != 0 ||
      ::listen(made.get(), SOMAXCONN) != 0)
    made.reset();
  return made;
}

std::string numeric(const sockaddr* address, socklen_t length, std::string* port) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  if (::getnameinfo(address, length, host.data(), host.size(), service.data(), service.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "";
  if (port) *port = service.data();
  return host.data();
}

// Where both work, nothing is lost.
void ipv4_first(std::vector<std::string>& addresses) {
  std::stable_partition(addresses.begin(), addresses.end(), [](const std::string& address) {
    return address.find(':') == std::string::npos;
  });
}

std::vector<std::string> own_addresses() {
  std::vector<std::string> found, loopback;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {"127.0.0.1"};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, ::freeifaddrs);
  for (const ifaddrs* at = list; at; at = at->ifa_next) {
    if (!at->ifa_addr || !(at->ifa_flags & IFF_UP)) continue;
    const int family = at->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const auto length =
        static_cast<socklen_t>(family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    const std::string text = numeric(at->ifa_addr, length, nullptr);
    // Addresses that mean something on one link only ("fe80::1%eth0") are of no use to others.
    if (text.empty() || text.find('%') != std::string::npos) continue;
    (at->ifa_flags & IFF_LOOPBACK ? loopback : found).push_back(text);
  }
  ipv4_first(found);
  ipv4_first(loopback);
  found.insert(found.end(), loopback.begin(), loopback.end());
  return found;
}

void set_no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

bool LineSocket::send(const std::vector<std::string>& fields) {
  if (!open()) return false;
  std::string line;
  for (const auto& field : fields) line += (line.empty() ? "" : "\t") + escaped(field);
  line += '\n';
  size_t sent = 0;
  while (sent < line.size()) {
    const auto n = ::send(descriptor_.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      // A full buffer: the other side has read nothing for very long, it is as good as gone.
      close();
      return false;
    }
  }
  return true;
}

std::vector<std::vector<std::string>> LineSocket::receive() {
  std::array<char, 4096> part{};
  while (open()) {
    const auto n = ::recv(descriptor_.get(), part.data(), part.size(), 0);
    if (n > 0)
      pending_.append(part.data(), static_cast<size_t>(n));
    else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      break;
    else if (n == 0 || errno != EINTR)
      close();
    if (pending_.size() > kLongestLine) close();  // none of ours
  }
  std::vector<std::vector<std::string>> lines;
  size_t begin = 0;
  for (size_t end; (end = pending_.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(fields_of(std::string_view(pending_).substr(begin, end - begin)));
  pending_.erase(0, begin);
  return lines;
}

Listener listen_anywhere() {
  Listener made;
  made.descriptor = bound_socket(AF_INET6);
  if (!made.descriptor) made.descriptor = bound_socket(AF_INET);
  validate(static_cast<bool>(made.descriptor), "no TCP port could be opened on this host (",
           std::strerror(errno), "); the ranks watch one another over TCP");
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(made.descriptor.get(), reinterpret_cast<sockaddr*>(&address), &length);
  numeric(reinterpret_cast<const sockaddr*>(&address), length, &made.port);
  made.addresses = own_addresses();
  return made;
}

std::optional<LineSocket> accept_from(const Listener& listener) {
  Descriptor peer(
      ::accept4(listener.descriptor.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!peer) return std::nullopt;
  set_no_delay(peer.get());
  return LineSocket(std::move(peer));
}

std::optional<LineSocket> connect_to(const std::string& address, const std::string& port,
                                     std::chrono::milliseconds patience) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.c_str(), port.c_str(), &hints, &found) != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  Descriptor made(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) return std::nullopt;
  if (::connect(made.get(), found->ai_addr, found->ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return std::nullopt;
    pollfd ready{made.get(), POLLOUT, 0};
    int error = 0;
    socklen_t length = sizeof error;
    if (::poll(&ready, 1, static_cast<int>(patience.count())) <= 0 ||
        ::getsockopt(made.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0)
      return std::nullopt;
  }
  set_no_delay(made.get());
  return LineSocket(std::move(made));
}

void wait_readable(const std::vector<int>& descriptors, std::chrono::milliseconds time) {
  std::vector<pollfd> polled;
  for (const int fd : descriptors)
    if (fd >= 0) polled.push_back({fd, POLLIN, 0});
  ::poll(polled.data(), polled.size(), static_cast<int>(time.count()));
}

}  // namespace stylescope
