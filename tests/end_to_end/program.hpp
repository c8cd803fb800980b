#pragma once

#include "tests/support/temp_dir.hpp"

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

// The real program as a user starts it, alone or under mpirun, in a folder of its own.
namespace stylescope::end_to_end {

using testing_support::TempDir;

struct Outcome {
  int code = -1;    // exit code; -1 when a signal ended it
  int signal = 0;   // that signal
  std::string out;  // what it wrote to stdout
  std::string err;  // and to stderr
};

// A started program. Whoever forgets it kills it, and all that it started.
class Program {
 public:
  // `ranks` 0: alone; else under mpirun. Paths in `arguments` are relative to `folder`.
  Program(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
          int ranks = 0);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  // What it has written to stderr.
  std::string said_so_far() const;
  void send(int signal) const;
  // The process ids of the ranks that mpirun started.
  std::vector<pid_t> rank_pids() const;
  // Waits for the end; kills it (and fails the test) when that takes longer.
  Outcome wait(std::chrono::seconds patience = std::chrono::seconds(90));

 private:
  std::filesystem::path out_, err_;
  pid_t pid_ = -1;
  bool reaped_ = false;
  int status_ = 0;
};

Outcome stylescope(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
                   int ranks = 0);

// Arguments of a smoke run into <folder>/run, one thread, a checkpoint every three steps; `more`
// comes last.
std::vector<std::string> smoke(const std::vector<std::string>& more = {});

// The published folder of an undisturbed smoke run, made once for all tests: by one process (0) or
// by 2 ranks.
const std::filesystem::path& undisturbed(int ranks);

// Copies these stages from an undisturbed run into <folder>/run.
void copy_stages(const std::filesystem::path& from, const std::filesystem::path& folder,
                 const std::vector<std::string>& stages);

// SHA-256 by relative path of what has to be the same bits however often a run was interrupted:
// weights, latents, synthetic pairs, measurements, pictures and logs of metrics. Left out: what
// tells times, versions and hosts (stage.json, logs, the report), and the checkpoints.
std::map<std::string, std::string> significant_files(const std::filesystem::path& run);

// Size and time of change of every file of a run, to see that none was touched.
std::map<std::string, std::string> state_of_files(const std::filesystem::path& run);

// Does the process end by then? One that nobody has asked for its exit code yet (a zombie) has.
bool leaves(pid_t pid, std::chrono::steady_clock::time_point by);

}  // namespace stylescope::end_to_end
