#pragma once

#include "pipeline/bench_steps.hpp"
#include "pipeline/comm_model.hpp"
#include "pipeline/timed_communicator.hpp"

#include <functional>
#include <memory>
#include <vector>

// What a training step takes on some of the ranks, and what of it is communication.
namespace stylescope {

// Seconds of a step, on average over its kinds (lazy phases); medians of many steps.
struct StepTimes {
  double step = 0;     // of the slowest rank
  double compute = 0;  // outside of all collectives, mean over the ranks
  double exposed = 0;  // in collectives while data moved: the rank that waits least in each
  double waiting = 0;  // in collectives for ranks that came later, mean over the ranks
  double hidden = 0;   // transfers while the rank computed
  int slowest = 0;     // the rank that computes longest, before it enters a collective
  double lag = 0;      // how much longer than the median rank
  int64_t steps = 0, wrong = 0;
  std::vector<StepProfile::Message> messages;  // all_reduces of a step

  double blocked() const { return exposed + waiting; }
  double hidden_share() const { return hidden > 0 ? hidden / (hidden + exposed) : 0; }
};

using MakeSteps = std::function<std::unique_ptr<TrainingSteps>(Communicator& world)>;

class StepMeter {
 public:
  // `world` must live longer.
  StepMeter(Communicator& world, const MakeSteps& make, torch::Device device);
  // One step of each kind, all ranks at once. Collective over `world`.
  void round(bool counts);
  StepTimes times();  // collective
  int64_t groups() const { return steps_->groups(); }

 private:
  struct Sample {
    double seconds = 0;
    std::vector<TimedCommunicator::Record> records;
  };
  // Per collective of a kind's step: the least over the ranks, the median over the steps.
  struct Least {
    std::vector<double> blocked, transfer;
  };
  Least least(const std::vector<Sample>& samples) const;
  void add_messages(StepTimes& times, size_t kind) const;

  Communicator& world_;
  TimedCommunicator timed_;
  torch::Device device_;
  std::unique_ptr<TrainingSteps> steps_;
  std::vector<double> shares_;
  std::vector<std::vector<Sample>> samples_;  // by kind
};

// The first k ranks at work, with a batch of `batch` for each of them (weak), for all of them
// (strong), and for each alone without a word to the others, all at once (independent).
struct ScalePoint {
  int64_t ranks = 0;
  StepTimes weak, strong;
  double independent = 0;  // seconds a step: ranks * batch / images a second of all
  int64_t groups = 1;      // of the strong batch
};
using MakeStepsOf =
    std::function<std::unique_ptr<TrainingSteps>(Communicator& world, int64_t batch)>;
// Weak and independent steps in turn, so that noise hits both alike; with one rank all three are
// the same. Collective over `part`; the same on all of its ranks.
ScalePoint measure_scale(Communicator& part, const MakeStepsOf& make, int64_t batch,
                         torch::Device device, double seconds);

}  // namespace stylescope
