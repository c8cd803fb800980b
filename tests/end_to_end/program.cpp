#include "tests/end_to_end/program.hpp"

#include "io/atomic_file.hpp"
#include "io/sha256.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope::end_to_end {
namespace {

std::vector<std::string> command_line(const std::vector<std::string>& arguments, int ranks) {
  std::vector<std::string> line;
  if (ranks > 0)
    line = {STYLESCOPE_MPIEXEC, "-n",        std::to_string(ranks),
            "--oversubscribe",  "--bind-to", "none"};
  line.push_back(STYLESCOPE_BINARY);
  line.insert(line.end(), arguments.begin(), arguments.end());
  return line;
}

// In the child: nothing but calls that are safe after a fork.
[[noreturn]] void become(const char* folder, int out, int err, char* const* line) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (::chdir(folder) == 0 && ::dup2(nothing, 0) >= 0 && ::dup2(out, 1) >= 0 && ::dup2(err, 2) >= 0)
    ::execv(line[0], line);
  ::_exit(127);
}

void set_environment() {
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"OMP_NUM_THREADS", "1"},
           {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
           {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
           {"OMPI_MCA_mpi_yield_when_idle", "1"}})
    ::setenv(name, value, 1);
}

int new_file(const fs::path& file) {
  return ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

// The parent of a process, 0 when it is gone.
pid_t parent_of(const fs::path& process) {
  std::ifstream status(process / "stat");
  std::string text((std::istreambuf_iterator<char>(status)), {});
  const auto name_ends = text.rfind(')');
  if (name_ends == std::string::npos) return 0;
  std::istringstream rest(text.substr(name_ends + 1));
  char state = 0;
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

}  // namespace

Program::Program(const fs::path& folder, const std::vector<std::string>& arguments, int ranks) {
  static int number = 0;
  const std::string name = "program-" + std::to_string(++number);
  out_ = folder / (name + ".out");
  err_ = folder / (name + ".err");
  set_environment();
  auto words = command_line(arguments, ranks);
  std::vector<char*> line;
  for (auto& word : words) line.push_back(word.data());
  line.push_back(nullptr);
  const int out = new_file(out_), err = new_file(err_);
  pid_ = ::fork();
  if (pid_ == 0) become(folder.c_str(), out, err, line.data());
  ::close(out);
  ::close(err);
  ::setpgid(pid_, pid_);
  if (pid_ < 0) throw std::runtime_error("fork failed");
}

Program::~Program() {
  if (running()) {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
  }
}

bool Program::running() {
  if (!reaped_) reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return !reaped_;
}

std::string Program::said_so_far() const { return read_text(err_); }

void Program::send(int signal) const { ::kill(pid_, signal); }

std::vector<pid_t> Program::rank_pids() const {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
        parent_of(entry.path()) == pid_)
      found.push_back(static_cast<pid_t>(std::stol(name)));
  }
  std::ranges::sort(found);
  return found;
}

Outcome Program::wait(std::chrono::seconds patience) {
  const auto begin = std::chrono::steady_clock::now();
  while (running()) {
    if (std::chrono::steady_clock::now() - begin > patience) {
      ADD_FAILURE() << "it hangs:\n" << read_text(err_);
      ::kill(-pid_, SIGKILL);
      reaped_ = ::waitpid(pid_, &status_, 0) == pid_;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  Outcome outcome;
  if (WIFEXITED(status_)) outcome.code = WEXITSTATUS(status_);
  if (WIFSIGNALED(status_)) outcome.signal = WTERMSIG(status_);
  outcome.out = read_text(out_);
  outcome.err = read_text(err_);
  return outcome;
}

Outcome stylescope(const fs::path& folder, const std::vector<std::string>& arguments, int ranks) {
  return Program(folder, arguments, ranks).wait();
}

std::vector<std::string> smoke(const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"run",   STYLESCOPE_SMOKE, "--set", "run_dir=run",
                                     "--set", "threads=1",      "--set", "device=cpu"};
  for (const char* stage : {"classifier", "gan", "encoder"})
    arguments.insert(arguments.end(), {"--set", std::string(stage) + ".checkpoint.steps=3"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

const fs::path& undisturbed(int ranks) {
  struct Made {
    TempDir folder;
    fs::path run;
    explicit Made(int ranks) : run(folder / "run") {
      const Outcome outcome = stylescope(folder.path(), smoke(), ranks);
      if (outcome.code != 0) throw std::runtime_error("the undisturbed run failed: " + outcome.err);
    }
  };
  static std::map<int, std::unique_ptr<Made>> made;
  auto& one = made[ranks];
  if (!one) one = std::make_unique<Made>(ranks);
  return one->run;
}

void copy_stages(const fs::path& from, const fs::path& folder,
                 const std::vector<std::string>& stages) {
  fs::create_directories(folder / "run");
  for (const auto& stage : stages)
    fs::copy(from / stage, folder / "run" / stage, fs::copy_options::recursive);
}

std::map<std::string, std::string> significant_files(const fs::path& run) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const std::string name = fs::relative(entry.path(), run).string();
    const bool tells_times = name.ends_with("stage.json") || name.ends_with(".log") ||
                             name.ends_with(".lock") || name.ends_with(".outcome.json") ||
                             name.find("/events.out.tfevents.") != std::string::npos ||
                             name.starts_with("report/") || name.find('/') == std::string::npos;
    if (!entry.is_regular_file() || tells_times || name.find("/checkpoints/") != std::string::npos)
      continue;
    found[name] = sha256_of_file(entry.path());
  }
  return found;
}

std::map<std::string, std::string> state_of_files(const fs::path& run) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    if (!entry.is_regular_file()) continue;
    const auto changed = entry.last_write_time().time_since_epoch().count();
    found[fs::relative(entry.path(), run).string()] =
        std::to_string(entry.file_size()) + " bytes, " + std::to_string(changed);
  }
  return found;
}

bool leaves(pid_t pid, std::chrono::steady_clock::time_point by) {
  while (std::chrono::steady_clock::now() < by) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const auto name_ends = text.rfind(") ");
    if (name_ends == std::string::npos || text.at(name_ends + 2) == 'Z') return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

}  // namespace stylescope::end_to_end
