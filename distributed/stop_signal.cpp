#include "distributed/stop_signal.hpp"

#include "io/base/error.hpp"

#include <array>
#include <csignal>

namespace stylescope {
namespace {

constexpr std::array<int, 4> kSignals{SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
// Signal handlers reach nothing but statics.
volatile std::sig_atomic_t stop_requested = 0;
std::array<struct sigaction, kSignals.size()> earlier;
bool installed = false;

void handle(int) { stop_requested = 1; }

}  // namespace

StopSignal::StopSignal(Hearing hearing) : listens_(hearing == Hearing::listens) {
  if (!listens_) return;
  SS_CHECK(!installed);
  installed = true;
  stop_requested = 0;
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &earlier[i]);
}

StopSignal::~StopSignal() {
  if (!listens_) return;
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &earlier[i], nullptr);
  installed = false;
}

bool StopSignal::requested() const { return listens_ && stop_requested != 0; }

bool StopSignal::agreed(Communicator& world) const {
  return world.all_reduce(requested() ? 1.0 : 0.0, ReduceOp::max) > 0;
}

}  // namespace stylescope
