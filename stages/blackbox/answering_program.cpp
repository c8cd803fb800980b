#include "stages/blackbox/answering_program.hpp"

#include "io/log.hpp"
#include "stages/blackbox/black_box_config.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <thread>
#include <unistd.h>

namespace stylescope {
namespace {

using detail::concatenate;
using std::chrono::milliseconds;

constexpr size_t kLongestLine = 1 << 16, kLastLines = 6, kLongestWords = 300;
constexpr milliseconds kLook{200};      // between looks whether it is still there
constexpr milliseconds kEnding{500};    // from the end of its answers to its own
constexpr milliseconds kGoodbye{2000};  // that it has to leave in

// What tells a rank of itself: a child that starts MPI with it would wait for its siblings.
const std::vector<std::string> kOfRanks{
    "OMPI_",      "PMIX_",        "PMI_",          "PRTE_",      "MPI_LOCAL",
    "SLURM_STEP", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_TASK", "SLURM_MPI_TYPE"};

struct Pipe {
  Descriptor read, write;
};

Pipe new_pipe() {
  std::array<int, 2> ends{};
  validate(::pipe2(ends.data(), O_CLOEXEC) == 0, "no pipe can be made (", std::strerror(errno),
           "); allow more open files (ulimit -n)");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

void never_block(const Descriptor& end) {
  ::fcntl(end.get(), F_SETFL, ::fcntl(end.get(), F_GETFL) | O_NONBLOCK);
}

// While it lives, writing to a pipe that nobody reads fails for this thread and ends nothing.
class NoBrokenPipeSignal {
 public:
  NoBrokenPipeSignal() {
    sigemptyset(&broken_pipe_);
    sigaddset(&broken_pipe_, SIGPIPE);
    sigset_t pending;
    sigemptyset(&pending);
    ::sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &broken_pipe_, &before_);
  }
  ~NoBrokenPipeSignal() {
    const timespec now{};
    if (!was_pending_)
      while (::sigtimedwait(&broken_pipe_, nullptr, &now) < 0 && errno == EINTR) {
      }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoBrokenPipeSignal(const NoBrokenPipeSignal&) = delete;
  NoBrokenPipeSignal& operator=(const NoBrokenPipeSignal&) = delete;

 private:
  sigset_t broken_pipe_{}, before_{};
  bool was_pending_ = false;
};

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// Appends what is there. False at the end.
bool read_into(std::string& text, const Descriptor& from) {
  std::array<char, 1 << 16> part{};
  const auto n = ::read(from.get(), part.data(), part.size());
  if (n > 0) text.append(part.data(), static_cast<size_t>(n));
  return n > 0 || (n < 0 && would_block());
}

}  // namespace

std::string excerpt(std::string_view text, size_t most) {
  std::string shown(text.substr(0, std::min(text.find('\n'), most)));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return "'" + shown + (text.size() > most ? "...'" : "'");
}

AnsweringProgram::AnsweringProgram(const std::vector<std::string>& words, const std::string& folder,
                                   double timeout)
    : name_(joined(words)), timeout_(timeout) {
  Pipe in = new_pipe(), out = new_pipe(), err = new_pipe();
  ChildSettings settings;
  settings.words = words;
  settings.folder = folder;
  settings.left_out = kOfRanks;
  settings.in = in.read.get();
  settings.out = out.write.get();
  settings.err = err.write.get();
  settings.own_group = true;
  child_.emplace(settings);
  in_ = std::move(in.write);
  out_ = std::move(out.read);
  err_ = std::move(err.read);
  for (const auto* end : {&in_, &out_, &err_}) never_block(*end);
}

AnsweringProgram::~AnsweringProgram() {
  in_.reset();
  const auto until = Clock::now() + kGoodbye;
  std::string ignored;
  while (child_ && child_->running() && Clock::now() < until) {
    if (out_ && !read_into(ignored, out_)) out_.reset();
    ignored.clear();
    read_stderr();
    std::this_thread::sleep_for(milliseconds(2));
  }
}

void AnsweringProgram::ask(const std::string& header, std::string_view payload) {
  SS_CHECK(child_.has_value() && sent_ == header_.size() + payload_.size());
  if (!heard_.empty())
    fail("wrote " + excerpt(heard_) + " to its standard output without having been asked");
  header_ = header + "\n";
  payload_ = payload;
  sent_ = 0;
  deadline_ = Clock::now() +
              std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout_));
}

std::string AnsweringProgram::line() {
  turn_until(
      [this] { return heard_.find('\n') != std::string::npos || heard_.size() > kLongestLine; });
  const auto end = heard_.find('\n');
  if (end == std::string::npos)
    fail("wrote " + excerpt(heard_) + " to its standard output and did not end the line");
  auto text = heard_.substr(0, end);
  heard_.erase(0, end + 1);
  if (!text.empty() && text.back() == '\r') text.pop_back();
  return text;
}

std::string AnsweringProgram::bytes(size_t count) {
  turn_until([&] { return heard_.size() >= count; });
  auto text = heard_.substr(0, count);
  heard_.erase(0, count);
  return text;
}

void AnsweringProgram::done() {
  if (sent_ < header_.size() + payload_.size())
    fail("answered before it had read the images that it was asked about");
  if (!heard_.empty())
    fail("wrote " + excerpt(heard_) +
         " to its standard output after its answer, which belongs to answers alone; print to "
         "standard error instead (in Python: print(..., file=sys.stderr))");
}

void AnsweringProgram::fail(const std::string& problem) {
  if (child_) child_->kill();
  drain_stderr();
  child_.reset();
  throw ProgramFailure(name_ + ": " + problem + last_words());
}

void AnsweringProgram::turn_until(const std::function<bool()>& enough) {
  SS_CHECK(child_.has_value(), "the program is gone");
  const NoBrokenPipeSignal quiet;
  while (!enough()) {
    if (Clock::now() >= deadline_) is_late();
    // What it leaves behind may hold its pipe open: the pipe's end alone would not tell.
    const bool gone = !wait_for_pipes() && !child_->running();
    write_some();
    read_answer();
    read_stderr();
    if (gone && !enough()) has_ended();
  }
  // What is still to be sent of the question, as far as the pipe has room: the rest is found out
  // by done().
  write_some();
}

// Waits for one of the pipes, or a while. Is any of them ready?
bool AnsweringProgram::wait_for_pipes() {
  const bool more = sent_ < header_.size() + payload_.size();
  std::array<pollfd, 3> ends{
      {{more ? in_.get() : -1, POLLOUT, 0}, {out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}}};
  const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now());
  const auto wait = std::clamp(left, milliseconds(0), kLook);
  return ::poll(ends.data(), ends.size(), static_cast<int>(wait.count())) > 0;
}

void AnsweringProgram::write_some() {
  const size_t all = header_.size() + payload_.size();
  while (in_ && sent_ < all) {
    const bool head = sent_ < header_.size();
    const std::string_view rest =
        head ? std::string_view(header_).substr(sent_) : payload_.substr(sent_ - header_.size());
    const auto n = ::write(in_.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && !would_block()) in_.reset();  // it reads no more: its end will tell why
    if (n < 0) return;
    sent_ += static_cast<size_t>(n);
  }
}

void AnsweringProgram::read_answer() {
  if (!read_into(heard_, out_)) has_ended();
}

void AnsweringProgram::read_stderr() {
  if (!err_) return;
  std::string text;
  if (!read_into(text, err_)) err_.reset();
  keep_last_words(text);
}

void AnsweringProgram::keep_last_words(const std::string& text) {
  for (const char c : text) {
    if (c != '\n') stderr_line_ += c;
    if (c != '\n' && stderr_line_.size() < kLongestLine) continue;
    log::debug("{}: {}", name_, stderr_line_);
    if (!stderr_line_.empty()) last_lines_.push_back(stderr_line_);
    if (last_lines_.size() > kLastLines) last_lines_.pop_front();
    stderr_line_.clear();
  }
}

// All that it had said: when it is dead, the pipe has an end.
void AnsweringProgram::drain_stderr() {
  const auto until = Clock::now() + kLook;
  while (err_ && Clock::now() < until) {
    pollfd end{err_.get(), POLLIN, 0};
    if (::poll(&end, 1, 20) > 0) read_stderr();
  }
  if (!stderr_line_.empty()) keep_last_words("\n");
}

void AnsweringProgram::has_ended() {
  // Its end of the pipe may be closed before it is gone itself.
  const auto until = Clock::now() + kEnding;
  while (child_->running() && Clock::now() < until) {
    read_stderr();
    std::this_thread::sleep_for(milliseconds(2));
  }
  if (child_->running()) fail("closed its standard output, but images were still to come");
  const int code = child_->wait(), signal = child_->signal();
  if (signal != 0)
    fail(concatenate("was ended by signal ", signal, " (", ::strsignal(signal), ")",
                     signal == SIGKILL ? ", which is what happens where memory is short" : "",
                     without_answer()));
  if (code == 0)
    fail(
        "ended by itself (exit code 0), but images were still to come; it must go on reading "
        "until its standard input ends" +
        without_answer());
  fail(concatenate("ended with exit code ", code, without_answer()));
}

void AnsweringProgram::is_late() {
  const bool asked = sent_ == header_.size() + payload_.size();
  fail(concatenate("has not answered within ", timeout_, " s (classifier.timeout)",
                   asked ? "" : ", and has not read all that it was sent", without_answer(),
                   heard_.empty() ? "; does it flush its standard output after an answer?" : ""));
}

std::string AnsweringProgram::without_answer() const {
  return heard_.empty() ? ""
                        : "; it had written " + excerpt(heard_) +
                              " to its standard output, which is "
                              "no whole answer";
}

std::string AnsweringProgram::last_words() const {
  if (last_lines_.empty()) return " (it wrote nothing to its standard error)";
  std::string text;
  for (const auto& line : last_lines_) text += (text.empty() ? "" : " | ") + line;
  if (text.size() > kLongestWords) text = "..." + text.substr(text.size() - kLongestWords);
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return " (its last words: " + text + ")";
}

}  // namespace stylescope
