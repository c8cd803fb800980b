#pragma once

#include "stages/training/training_loop.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

// Averages of figures between two lines of metrics.jsonl. Part of the checkpoint, so that a resumed
// run writes the same lines as an undisturbed one. What is fed in is already reduced over the
// ranks.
namespace stylescope {

class Meters {
 public:
  // All names up front: a checkpoint has a fixed list of state.
  explicit Meters(const std::vector<std::string>& names);
  void register_with(TrainingLoop& loop);
  void add(const std::string& name, double value);
  // Means since the last call, in the order of the constructor; a figure that was not fed repeats
  // its last mean (lazy phases), and is left out while there is none.
  Figures take();

 private:
  struct Meter {
    std::string name;
    double sum = 0;
    double count = 0;
    double last = 0;
    int64_t seen = 0;
  };
  std::vector<Meter> meters_;
};

}  // namespace stylescope
