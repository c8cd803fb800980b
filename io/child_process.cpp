#include "io/child_process.hpp"

#include "io/base/descriptor.hpp"
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

// The environment that the program gets, as exec wants it; the texts live as long as `own`.
std::vector<char*> environment_of(const ChildSettings& settings, std::vector<std::string>& own) {
  std::vector<char*> all;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view text = *variable;
    const bool left_out =
        std::ranges::any_of(settings.left_out,
                            [text](const std::string& name) { return text.starts_with(name); }) ||
        std::ranges::any_of(own, [text](const std::string& o) {
          return text.starts_with(std::string_view(o).substr(0, o.find('=') + 1));
        });
    if (!left_out) all.push_back(*variable);
  }
  for (auto& text : own) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

struct FileActions {
  explicit FileActions(const ChildSettings& settings) {
    ::posix_spawn_file_actions_init(&actions);
    if (!settings.folder.empty())
      ::posix_spawn_file_actions_addchdir_np(&actions, settings.folder.c_str());
    become(settings.in, 0, O_RDONLY);
    become(settings.out, 1, O_WRONLY);
    become(settings.err, 2, O_WRONLY);
#if __GLIBC_PREREQ(2, 34)
    // Libraries open files that exec does not close: what is waited for elsewhere must not stay
    // open here.
    ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
#endif
  }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void become(int from, int to, int flags) {
    if (from >= 0)
      ::posix_spawn_file_actions_adddup2(&actions, from, to);
    else
      ::posix_spawn_file_actions_addopen(&actions, to, "/dev/null", flags, 0);
  }
  posix_spawn_file_actions_t actions{};
};

// It hears all signals, whatever the thread that starts it is deaf to.
struct Attributes {
  explicit Attributes(bool own_group) {
    ::posix_spawnattr_init(&attributes);
    sigset_t none, broken_pipe;
    sigemptyset(&none);
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &broken_pipe);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    const int group = own_group ? POSIX_SPAWN_SETPGROUP : 0;
    ::posix_spawnattr_setflags(
        &attributes, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group));
  }
  ~Attributes() { ::posix_spawnattr_destroy(&attributes); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  posix_spawnattr_t attributes{};
};

const char* advice_for(int failure) {
  switch (failure) {
    case ENOENT:
      return "; name a program that PATH finds, or its path (a script's first line may name an "
             "interpreter that is not there)";
    case EACCES:
      return "; make it executable (chmod +x), or name its interpreter before it";
    case ENOEXEC:
      return "; it is no program, and no script that begins with #!: name its interpreter before "
             "it";
    default:
      return "";
  }
}

}  // namespace

ChildProcess::ChildProcess(const ChildSettings& settings) { start(settings); }

ChildProcess::ChildProcess(const std::vector<std::string>& words, const std::filesystem::path& log,
                           const std::vector<std::string>& environment) {
  const Descriptor file(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  validate(static_cast<bool>(file), log.string(), ": cannot be written (", std::strerror(errno),
           ")");
  ChildSettings settings;
  settings.words = words;
  settings.environment = environment;
  settings.out = settings.err = file.get();
  start(settings);
}

void ChildProcess::start(const ChildSettings& settings) {
  const auto& folder = settings.folder;
  validate(folder.empty() || std::filesystem::is_directory(folder), folder.string(),
           ": is no folder, but ", settings.words.front(), " is to work there");
  auto line = settings.words;
  std::vector<char*> arguments;
  for (auto& word : line) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  auto own = settings.environment;
  auto variables = environment_of(settings, own);
  const FileActions files(settings);
  const Attributes attributes(settings.own_group);
  own_group_ = settings.own_group;
  const int failure = ::posix_spawnp(&pid_, arguments[0], &files.actions, &attributes.attributes,
                                     arguments.data(), variables.data());
  validate(failure == 0, settings.words.front(), ": cannot be started (", std::strerror(failure),
           ")", advice_for(failure));
}

ChildProcess::~ChildProcess() {
  if (!running()) return;
  kill();
  reap(0);
}

// Looks before it reaps: a process group can be told from a later one of the same number only while
// its first member is not yet forgotten.
bool ChildProcess::reap(int options) {
  siginfo_t ended{};
  int code = 0;
  do {
    code = ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT | options);
  } while (code < 0 && errno == EINTR);
  if (code != 0 || ended.si_pid != pid_) return false;
  if (own_group_) ::kill(-pid_, SIGKILL);
  while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  return reaped_ = true;
}

bool ChildProcess::running() { return !reaped_ && !reap(WNOHANG); }

void ChildProcess::kill() const {
  if (!reaped_) ::kill(own_group_ ? -pid_ : pid_, SIGKILL);
}

int ChildProcess::wait() {
  if (!reaped_) reap(0);
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

int ChildProcess::signal() const { return WIFSIGNALED(status_) ? WTERMSIG(status_) : 0; }

}  // namespace stylescope
