#include "tests/slurm/cluster/command.hpp"

#include "tests/slurm/cluster/descendants.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace stylescope::testing_support {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// A file in memory.
class Output {
 public:
  Output() : descriptor_(::memfd_create("output", MFD_CLOEXEC)) {}
  ~Output() { ::close(descriptor_); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  int descriptor() const { return descriptor_; }
  std::string text() const {
    std::string all;
    char part[4096];
    for (ssize_t n = 0;
         (n = ::pread(descriptor_, part, sizeof part, static_cast<off_t>(all.size()))) > 0;)
      all.append(part, static_cast<size_t>(n));
    return all;
  }

 private:
  int descriptor_;
};

}  // namespace

Environment clean_environment(const Environment& more) {
  Environment result;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const bool of_a_job = std::ranges::any_of(
        std::initializer_list<const char*>{"SLURM", "SBATCH_", "SALLOC_", "SRUN", "SQUEUE_",
                                           "SINFO_", "SACCT_", "SCANCEL_", "PMIX_", "OMPI_COMM_",
                                           "OMPI_UNIVERSE_"},
        [&](const char* prefix) { return name.starts_with(prefix); });
    if (!of_a_job) result[name] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : more) result[name] = value;
  return result;
}

KeptCommand::KeptCommand(const Words& words, const Environment& environment,
                         const std::filesystem::path& folder, int out, int err) {
  Words line{STYLESCOPE_KEEPER};
  line.insert(line.end(), words.begin(), words.end());
  std::vector<std::string> entries;
  for (const auto& [name, value] : environment) entries.push_back(name + "=" + value);
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  held_ = ends[1];
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, ends[0], 0);
  ::posix_spawn_file_actions_adddup2(&files, out, 1);
  ::posix_spawn_file_actions_adddup2(&files, err, 2);
  ::posix_spawn_file_actions_addchdir_np(&files, folder.c_str());
  const int failure = ::posix_spawn(&keeper_, STYLESCOPE_KEEPER, &files, nullptr,
                                    pointers(line).data(), pointers(entries).data());
  ::posix_spawn_file_actions_destroy(&files);
  ::close(ends[0]);
  if (failure == 0) return;
  ::close(held_);
  throw std::runtime_error(words[0] + " cannot be started: " + std::strerror(failure));
}

KeptCommand::~KeptCommand() {
  let_go();
  if (!code_) ::waitpid(keeper_, nullptr, 0);
}

std::optional<int> KeptCommand::ended() {
  int status = 0;
  if (!code_ && ::waitpid(keeper_, &status, WNOHANG) == keeper_)
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return code_;
}

void KeptCommand::let_go() {
  if (held_ >= 0) ::close(held_);
  held_ = -1;
}

std::vector<pid_t> KeptCommand::processes() const { return descendants_of(keeper_); }

CommandOutcome run_command(const Words& words, const Environment& environment,
                           const std::filesystem::path& folder, std::chrono::milliseconds limit) {
  const Output out, err;
  KeptCommand command(words, environment, folder, out.descriptor(), err.descriptor());
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!command.ended()) {
    if (std::chrono::steady_clock::now() > end)
      return {-1, out.text(), err.text() + "\n(it took too long, and was killed)"};
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return {*command.ended(), out.text(), err.text()};
}

}  // namespace stylescope::testing_support
