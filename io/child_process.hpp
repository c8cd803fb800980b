#pragma once

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace stylescope {

// How a program is started. It gets the descriptors named here and no others.
struct ChildSettings {
  std::vector<std::string> words;        // words[0] is looked for in PATH
  std::filesystem::path folder;          // where it works; "": where this process does
  std::vector<std::string> environment;  // NAME=VALUE, over this process's own
  std::vector<std::string> left_out;     // what the names begin with that it does not inherit
  int in = -1, out = -1, err = -1;       // its stdin, stdout and stderr; -1: /dev/null
  bool own_group = false;                // what it starts is killed with it, and dies with it
};

// A program of its own that this one starts and waits for. Whoever forgets it kills it.
class ChildProcess {
 public:
  // Throws Error when it cannot be started: why, and what to do.
  explicit ChildProcess(const ChildSettings& settings);
  // Its stdout and stderr are appended to `log`.
  ChildProcess(const std::vector<std::string>& words, const std::filesystem::path& log,
               const std::vector<std::string>& environment = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  bool running();
  void kill() const;
  // Its exit code; 128 + the signal that ended it.
  int wait();
  // Of one that has ended: the signal that ended it, 0 where it left by itself.
  int signal() const;

 private:
  void start(const ChildSettings& settings);
  bool reap(int options);

  pid_t pid_ = -1;
  bool own_group_ = false;
  bool reaped_ = false;
  int status_ = 0;
};

}  // namespace stylescope
