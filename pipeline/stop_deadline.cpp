#include "pipeline/stop_deadline.hpp"

#include "io/base/error.hpp"
#include "io/base/quiet_thread.hpp"
#include "io/log.hpp"

#include <chrono>
#include <cstdlib>
#include <optional>

namespace stylescope {

StopDeadline::StopDeadline(const StopSignal& stop, Communicator& world, double seconds,
                           std::function<void(const std::string&)> before_leaving)
    : stop_(stop),
      world_(world),
      seconds_(seconds),
      before_leaving_(std::move(before_leaving)),
      thread_(quiet_thread([this] { watch(); })) {}

StopDeadline::~StopDeadline() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StopDeadline::watch() {
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> until;
  std::unique_lock lock(mutex_);
  while (!over_) {
    changed_.wait_for(lock, std::chrono::milliseconds(100));
    if (over_ || !stop_.requested()) continue;
    if (!until)
      until = Clock::now() +
              std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds_));
    if (Clock::now() < *until) continue;
    const std::string text = detail::concatenate(
        "asked to stop ", seconds_,
        " s ago, and the work has not come to a point where it can (distributed.stop_deadline); "
        "leaves without a new checkpoint, run the same command again to go on from the last one");
    constexpr int code = static_cast<int>(ExitCode::interrupted);
    if (before_leaving_) before_leaving_(text);
    if (world_.size() > 1) world_.abort(code, text);
    log::error("{}", text);
    std::_Exit(code);
  }
}

}  // namespace stylescope
