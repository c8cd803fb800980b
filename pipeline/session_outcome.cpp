#include "pipeline/session_outcome.hpp"

#include "distributed/host.hpp"
#include "io/base/error.hpp"
#include "pipeline/file_lock.hpp"

#include <new>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <c10/util/Exception.h>

namespace stylescope {
namespace {

StageOutcome outcome(const std::string& state, const std::string& cause) {
  return {state, cause, host_name(), ::getpid(), unix_time()};
}

// State and cause.
std::pair<std::string, std::string> current_failure() {
  try {
    throw;
  } catch (const Interrupted& error) {
    return {"interrupted", error.what()};
  } catch (const TransientError& error) {
    return {"broken", error.what()};
  } catch (const Error& error) {
    return {"failed", error.what()};
  } catch (const c10::Error& error) {
    return {"broken", error.what_without_backtrace()};
  } catch (const std::bad_alloc&) {
    return {"broken", "out of memory"};
  } catch (const std::exception& error) {
    return {"broken", error.what()};
  } catch (...) {
    return {"broken", "an unknown exception"};
  }
}

// 0: no end.
int weight(const std::string& state) {
  if (state == "failed") return 3;
  if (state == "broken") return 2;
  return state == "interrupted" ? 1 : 0;
}

}  // namespace

void SessionOutcome::of(const std::string& session) {
  session_ = session;
  begun_ = done_ = false;
  if (!root_) return;
  const auto before = read_state<StageOutcome>(file());
  std::error_code ignored;
  if (before && weight(before->state) > 0) std::filesystem::remove(file(), ignored);
}

void SessionOutcome::running() {
  begun_ = true;
  if (root_) tell("running", "");
}

void SessionOutcome::done() {
  done_ = true;
  if (root_) tell("done", "");
}

void SessionOutcome::failed() const {
  if (done_) return;
  const auto [state, cause] = current_failure();
  // All agreed to it: one of them says so.
  if (state == "interrupted" && !root_) return;
  if (const auto before = read_state<StageOutcome>(file())) {
    if (weight(before->state) >= weight(state)) return;
    if (!begun_ && before->state == "done") return;
    if (!begun_ && before->state == "running" && (!root_ || state == "broken" || others_work()))
      return;
  }
  tell(state, cause);
}

bool SessionOutcome::others_work() const {
  const auto lock = look_at_lock(run_dir_ / ("." + session_ + ".lock"));
  const bool mine = lock.pid == ::getpid() && lock.host == host_name();
  return !mine && (lock.held || !lock.certain);
}

void SessionOutcome::tell(const std::string& state, const std::string& cause) const {
  write_state(file(), outcome(state, cause));
}

void interrupt_sessions(const std::filesystem::path& run_dir,
                        const std::vector<std::string>& sessions, const std::string& cause) {
  for (const auto& session : sessions) {
    const auto file = outcome_file(run_dir, session);
    const auto before = read_state<StageOutcome>(file);
    if (before && before->state == "running") write_state(file, outcome("interrupted", cause));
  }
}

}  // namespace stylescope
