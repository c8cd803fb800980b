#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace stylescope::testing_support {

using Words = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

// This process's environment, without what Slurm or a launcher put there for a job of theirs, and
// `more` over it.
Environment clean_environment(const Environment& more = {});

// A command and all that comes from it; nothing of that outlives the object or this process,
// however suddenly that ends (keeper.cpp). Objects may be used in several threads, each in one.
class KeptCommand {
 public:
  // words[0] is looked for in the environment's PATH; `out` and `err` are file descriptors.
  KeptCommand(const Words& words, const Environment& environment,
              const std::filesystem::path& folder, int out, int err);
  ~KeptCommand();
  KeptCommand(const KeptCommand&) = delete;
  KeptCommand& operator=(const KeptCommand&) = delete;

  // Its exit code, 128 + the signal that ended it; nothing while it runs.
  std::optional<int> ended();
  // It begins to be killed. The destructor waits for that.
  void let_go();
  // What there is of it now, parents before their children.
  std::vector<pid_t> processes() const;

 private:
  pid_t keeper_ = -1;
  int held_ = -1;
  std::optional<int> code_;
};

struct CommandOutcome {
  int code = -1;  // -1: it took too long, and was killed
  std::string out, err;
};

CommandOutcome run_command(const Words& words, const Environment& environment,
                           const std::filesystem::path& folder, std::chrono::milliseconds limit);

}  // namespace stylescope::testing_support
