#include "distributed/flight_record.hpp"

namespace stylescope {

void FlightRecord::enter(const Collective& call, uint64_t sequence, int world_size) {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  entry_.sequence = sequence;
  entry_.kind = call.kind;
  entry_.op = call.op;
  entry_.root = call.root;
  if (call.input.defined()) {
    entry_.dtype = call.input.scalar_type();
    entry_.count = call.input.numel();
  }
  entry_.world_size = world_size;
  entry_.inside = true;
  entry_.since = now;
}

void FlightRecord::leave() {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  entry_.inside = false;
  entry_.since = now;
}

void FlightRecord::doing(const char* activity, int64_t step) {
  const std::lock_guard lock(mutex_);
  entry_.activity = activity;
  entry_.step = step;
}

void FlightRecord::long_work(bool begins) {
  const std::lock_guard lock(mutex_);
  entry_.long_work += begins ? 1 : -1;
}

FlightRecord::Entry FlightRecord::read() const {
  const std::lock_guard lock(mutex_);
  return entry_;
}

std::string describe(const FlightRecord::Entry& entry) {
  if (entry.sequence == 0) return "no collective yet";
  return "#" + std::to_string(entry.sequence) + " " +
         describe(entry.kind, entry.op, entry.root, entry.dtype, entry.count);
}

}  // namespace stylescope
