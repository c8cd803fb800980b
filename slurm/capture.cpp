#include "slurm/cluster.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace stylescope {
namespace {

using Clock = std::chrono::steady_clock;

// What changes the text that Slurm's commands print; the program asks for its formats itself.
constexpr std::array<std::string_view, 9> kUnset = {
    "LC_ALL=",        "SLURM_TIME_FORMAT=", "SLURM_BITSTR_LEN=",
    "SQUEUE_FORMAT=", "SQUEUE_FORMAT2=",    "SQUEUE_STATES=",
    "SACCT_FORMAT=",  "SINFO_FORMAT=",      "SINFO_STATE="};

std::vector<char*> environment(std::array<std::string, 2>& own) {
  std::vector<char*> all;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view text = *variable;
    const auto named = [text](std::string_view name) { return text.starts_with(name); };
    if (!std::ranges::any_of(kUnset, named)) all.push_back(*variable);
  }
  for (auto& text : own) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

struct Pipe {
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) ends[0] = ends[1] = -1;
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int end) {
    if (ends[end] >= 0) ::close(std::exchange(ends[end], -1));
  }
  int ends[2];
};

// Without pid where it cannot be started; `code` is then the system's reason.
struct Started {
  pid_t pid = -1;
  int code = 0;
};

Started start(const std::vector<std::string>& words, const Pipe& out, const Pipe& err) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.ends[1], 1);
  ::posix_spawn_file_actions_adddup2(&actions, err.ends[1], 2);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&attributes, 0);

  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::array<std::string, 2> own{"LC_ALL=C", "SLURM_BITSTR_LEN=0"};
  auto variables = environment(own);
  Started started;
  started.code = ::posix_spawnp(&started.pid, arguments[0], &actions, &attributes, arguments.data(),
                                variables.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return started;
}

// Reads both to their ends, whichever has something first; false when the time is over.
bool drain(Pipe& out, Pipe& err, Captured& captured, Clock::time_point deadline) {
  std::array<char, 65536> buffer;
  while (out.ends[0] >= 0 || err.ends[0] >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    // poll passes over a negative descriptor.
    std::array<pollfd, 2> waits{pollfd{out.ends[0], POLLIN, 0}, pollfd{err.ends[0], POLLIN, 0}};
    if (::poll(waits.data(), waits.size(), static_cast<int>(std::min<int64_t>(left, 1000))) <= 0)
      continue;
    for (size_t i = 0; i < waits.size(); ++i) {
      if (waits[i].revents == 0) continue;
      const ssize_t size = ::read(waits[i].fd, buffer.data(), buffer.size());
      if (size > 0) (i == 0 ? captured.out : captured.err).append(buffer.data(), size);
      if (size == 0 || (size < 0 && errno != EINTR)) (i == 0 ? out : err).close_end(0);
    }
  }
  return true;
}

// A command that closed its output may still take its time: nullopt when that is over.
std::optional<int> wait_until(pid_t pid, Clock::time_point deadline) {
  for (int status = 0;;) {
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (ended < 0 && errno != EINTR) return 0;  // someone ignores SIGCHLD: its code is lost
    if (Clock::now() >= deadline) return std::nullopt;
    ::usleep(2000);
  }
}

}  // namespace

Captured capture(const std::vector<std::string>& words, std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  Captured captured;
  Pipe out, err;
  const Started child = out.ends[0] < 0 || err.ends[0] < 0 ? Started{-1, EMFILE}  //
                                                           : start(words, out, err);
  if (child.code != 0) {
    captured.code = -1;
    captured.err = words[0] + ": " + std::strerror(child.code);
    return captured;
  }
  out.close_end(1);
  err.close_end(1);
  const bool whole = drain(out, err, captured, deadline);
  const auto code = whole ? wait_until(child.pid, deadline) : std::nullopt;
  if (code) {
    captured.code = *code;
    return captured;
  }
  ::kill(-child.pid, SIGKILL);
  while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) continue;
  captured.code = -2;
  return captured;
}

}  // namespace stylescope
