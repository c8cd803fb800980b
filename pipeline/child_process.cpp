#include "pipeline/child_process.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

namespace stylescope {
namespace {

// The environment with these on top, as exec wants it; the texts live as long as `own`.
std::vector<char*> environment_with(std::vector<std::string>& own) {
  std::vector<char*> all;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view text = *variable;
    const bool replaced = std::ranges::any_of(own, [text](const std::string& o) {
      return text.starts_with(std::string_view(o).substr(0, o.find('=') + 1));
    });
    if (!replaced) all.push_back(*variable);
  }
  for (auto& text : own) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

struct FileActions {
  explicit FileActions(const std::string& log) {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                       0644);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t actions{};
};

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& words, const std::filesystem::path& log,
                           const std::vector<std::string>& environment) {
  auto line = words;
  std::vector<char*> arguments;
  for (auto& word : line) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  auto own = environment;
  auto variables = environment_with(own);
  const FileActions files(log.string());
  const int failure = ::posix_spawnp(&pid_, arguments[0], &files.actions, nullptr, arguments.data(),
                                     variables.data());
  validate(failure == 0, words.front(), ": cannot be started (", std::strerror(failure), ")");
}

ChildProcess::~ChildProcess() {
  if (!running()) return;
  kill();
  ::waitpid(pid_, &status_, 0);
}

bool ChildProcess::running() {
  if (!reaped_) reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return !reaped_;
}

void ChildProcess::kill() const { ::kill(pid_, SIGKILL); }

int ChildProcess::wait() {
  if (!reaped_) {
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

}  // namespace stylescope
