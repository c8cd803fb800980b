#pragma once

#include "io/base/descriptor.hpp"
#include "io/base/error.hpp"
#include "io/child_process.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stylescope {

// The program did not answer: another try may help.
class ProgramFailure : public Error {
 public:
  using Error::Error;
};

// A program that is asked on its stdin and answers on its stdout, one exchange after another; what
// it says on its stderr goes into the log. Reads and writes at the same time, so that neither side
// waits for the other's pipe to have room; a program that is gone is a ProgramFailure, not a
// signal. It runs in a process group of its own and does not inherit what MPI and Slurm tell a rank
// of itself: a program that uses MPI is a world of one. The destructor closes its stdin, which asks
// it to leave, and kills it where it does not.
class AnsweringProgram {
 public:
  // `timeout`: seconds an exchange. Throws Error when it cannot be started.
  AnsweringProgram(const std::vector<std::string>& words, const std::string& folder,
                   double timeout);
  ~AnsweringProgram();
  AnsweringProgram(const AnsweringProgram&) = delete;
  AnsweringProgram& operator=(const AnsweringProgram&) = delete;

  // An exchange: ask(), then line() and bytes() as the answer goes, then done(). All throw
  // ProgramFailure, and then the program is gone: when it has ended, does not answer in time, or
  // says more or less than it should. `header`: a line, without its end; `payload` is not copied
  // and must live until done().
  void ask(const std::string& header, std::string_view payload);
  std::string line();
  std::string bytes(size_t count);
  void done();
  // It answered, but not as agreed: kills it and throws.
  [[noreturn]] void fail(const std::string& problem);

  const std::string& name() const { return name_; }

 private:
  using Clock = std::chrono::steady_clock;
  void turn_until(const std::function<bool()>& enough);
  bool wait_for_pipes();
  void write_some();
  void read_answer();
  void read_stderr();
  void keep_last_words(const std::string& text);
  [[noreturn]] void has_ended();
  [[noreturn]] void is_late();
  std::string last_words() const;
  std::string without_answer() const;
  void drain_stderr();

  std::string name_;
  double timeout_;
  Descriptor in_, out_, err_;  // our ends
  std::optional<ChildProcess> child_;
  Clock::time_point deadline_;
  std::string header_, heard_, stderr_line_;
  std::string_view payload_;
  size_t sent_ = 0;  // of header and payload
  std::deque<std::string> last_lines_;
};

// As it can stand in a sentence: one line, at most `most` characters, nothing unprintable.
std::string excerpt(std::string_view text, size_t most = 80);

}  // namespace stylescope
