#include "stages/training/progress.hpp"

#include "io/stage_state.hpp"

#include <cmath>
#include <cstdio>
#include <unistd.h>

namespace stylescope {
namespace {

using Seconds = std::chrono::duration<double>;
constexpr Seconds kRedraw{0.2};
constexpr Seconds kPlainLine{10.0};
constexpr Seconds kFile{1.0};

std::string time_text(double seconds) {
  char text[32];
  const auto s = static_cast<int64_t>(std::llround(seconds));
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%ldh%02ldm", static_cast<long>(s / 3600),
                  static_cast<long>(s / 60 % 60));
  else
    std::snprintf(text, sizeof text, "%ldm%02lds", static_cast<long>(s / 60),
                  static_cast<long>(s % 60));
  return text;
}

}  // namespace

Progress::Progress(std::string title, int64_t total_steps, int64_t per_step, std::string unit,
                   bool shown, std::filesystem::path file)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total_steps),
      per_step_(per_step),
      shown_(shown),
      terminal_(isatty(STDERR_FILENO) != 0),
      begin_(Clock::now()),
      last_shown_(begin_),
      file_(shown ? std::move(file) : std::filesystem::path()),
      last_written_(Clock::time_point::min()) {}

Progress::~Progress() {
  if (open_line_) std::fputc('\n', stderr);
}

void Progress::starts_at(int64_t step) {
  first_ = completed_ = step;
  begin_ = last_shown_ = Clock::now();
  write_file(true);
}

double Progress::rate() const {
  const double elapsed = Seconds(Clock::now() - begin_).count();
  return elapsed > 0 ? static_cast<double>((completed_ - first_) * per_step_) / elapsed : 0;
}

double Progress::seconds_left() const {
  const double done = static_cast<double>(completed_ - first_);
  const double elapsed = Seconds(Clock::now() - begin_).count();
  return done > 0 ? elapsed / done * static_cast<double>(total_ - completed_) : 0;
}

void Progress::write_file(bool now) {
  const auto time = Clock::now();
  if (file_.empty() || (!now && last_written_ > time - kFile)) return;
  last_written_ = time;
  StageProgress progress{title_, completed_,     total_,      rate(),
                         unit_,  seconds_left(), unix_time(), figures_};
  // JSON has no word for them.
  std::erase_if(progress.figures, [](const auto& figure) { return !std::isfinite(figure.second); });
  write_state(file_, progress);
}

void Progress::reached(int64_t completed_steps) {
  completed_ = completed_steps;
  write_file(completed_ >= total_);
}

void Progress::update(int64_t completed_steps,
                      const std::vector<std::pair<std::string, double>>& figures) {
  if (!shown_) {
    completed_ = completed_steps;
    return;
  }
  figures_ = figures;
  reached(completed_steps);
  const auto now = Clock::now();
  const bool last = completed_ >= total_;
  if (!last && Seconds(now - last_shown_) < (terminal_ ? kRedraw : kPlainLine)) return;
  last_shown_ = now;

  const double elapsed = Seconds(now - begin_).count();
  char head[160];
  std::snprintf(
      head, sizeof head, "%s %3.0f%%  step %ld/%ld  %.1f %s/s  %s", title_.c_str(),
      total_ > 0 ? 100.0 * static_cast<double>(completed_) / static_cast<double>(total_) : 100.0,
      static_cast<long>(completed_), static_cast<long>(total_), rate(), unit_.c_str(),
      last ? ("took " + time_text(elapsed)).c_str()
           : ("left " + time_text(seconds_left())).c_str());
  std::string line = head;
  for (const auto& [name, value] : figures) {
    char text[96];
    std::snprintf(text, sizeof text, "  %s %.4g", name.c_str(), value);
    line += text;
  }
  // \033[K clears what a longer earlier line left behind.
  std::fprintf(stderr, terminal_ ? "\r%s\033[K" : "%s\n", line.c_str());
  open_line_ = terminal_ && !last;
  if (terminal_ && last) std::fputc('\n', stderr);
  std::fflush(stderr);
}

}  // namespace stylescope
