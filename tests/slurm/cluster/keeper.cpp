// keeper COMMAND...: runs a command without input, for as long as stdin is open, and ends with its
// exit code. When stdin ends (whoever held the other end closed it, or died, however suddenly) or
// the command does, every process that came from it is killed: also those that made themselves
// independent, which have become children of the keeper.
#include "tests/slurm/cluster/descendants.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr auto kIgnored = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

// Asks for the exit codes of all that ended; is the command one of them?
bool reap(pid_t command, int* code) {
  bool found = false;
  int status = 0;
  for (pid_t ended = 0; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (ended != command) continue;
    found = true;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return found;
}

void kill_descendants() {
  int ignored = 0;
  while (true) {
    reap(-1, &ignored);
    // Parents first: one that dies before its child tells nobody of the child's death, as when a
    // machine loses its power.
    const auto left = stylescope::testing_support::descendants_of(::getpid());
    if (left.empty()) return;
    for (const pid_t pid : left) ::kill(pid, SIGKILL);
    ::usleep(2000);
  }
}

pid_t start(char** command) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  for (const int signal : kIgnored) ::signal(signal, SIG_DFL);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setsid();
  ::dup2(::open("/dev/null", O_RDONLY), 0);
  ::close_range(3, ~0U, 0);
  ::execvp(command[0], command);
  std::fprintf(stderr, "%s: %s\n", command[0], std::strerror(errno));
  ::_exit(127);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: keeper COMMAND...\n");
    return 2;
  }
  // The end of stdin is the only signal to stop: a Ctrl-C at the terminal brings it too.
  for (const int signal : kIgnored) ::signal(signal, SIG_IGN);
  ::signal(SIGCHLD, [](int) {});  // wakes poll
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t command = start(argv + 1);
  if (command < 0) return 126;
  int code = 128 + SIGKILL;
  for (pollfd held{0, POLLIN, 0}; !reap(command, &code);)
    if (::poll(&held, 1, 50) > 0) break;
  kill_descendants();
  return code;
}
