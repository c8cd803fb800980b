#pragma once

#include "distributed/collective.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace stylescope {

// What this rank last entered, and whether it is still inside: written around every collective
// (some 100 ns), read by the monitor when somebody does not arrive. Threads may meet in it.
class FlightRecord {
 public:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    uint64_t sequence = 0;  // 0: no collective yet
    Collective::Kind kind = Collective::Kind::barrier;
    ReduceOp op = ReduceOp::sum;
    int root = 0;
    torch::ScalarType dtype = torch::kFloat32;
    int64_t count = 0;
    int world_size = 0;  // of the communicator: parts of the world count by themselves
    bool inside = false;
    Clock::time_point since;    // entered, or left when no longer inside
    const char* activity = "";  // a stage
    int long_work = 0;          // more than 0: busy with work that others wait for patiently
    int64_t step = -1;          // of it; -1: none
  };

  void enter(const Collective& call, uint64_t sequence, int world_size);
  void leave();
  void doing(const char* activity, int64_t step);
  void long_work(bool begins);  // may be nested
  Entry read() const;

 private:
  mutable std::mutex mutex_;
  Entry entry_;
};

// "#17 all_reduce sum float32 x 4096".
std::string describe(const FlightRecord::Entry& entry);

}  // namespace stylescope
