#pragma once

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace stylescope {

// A program of its own that this one starts and waits for. Whoever forgets it kills it.
class ChildProcess {
 public:
  // words[0] is looked for in PATH. `log`: where its stdout and stderr go (appended).
  // `environment`: NAME=VALUE, over this process's own. Throws Error when it cannot be started.
  ChildProcess(const std::vector<std::string>& words, const std::filesystem::path& log,
               const std::vector<std::string>& environment = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  bool running();
  void kill() const;
  // Its exit code; 128 + the signal that ended it.
  int wait();

 private:
  pid_t pid_ = -1;
  bool reaped_ = false;
  int status_ = 0;
};

}  // namespace stylescope
