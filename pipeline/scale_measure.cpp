#include "pipeline/scale_measure.hpp"

#include "io/base/error.hpp"
#include "pipeline/bench_timing.hpp"

#include <algorithm>
#include <numeric>

namespace stylescope {
namespace {

double blocked_of(const std::vector<TimedCommunicator::Record>& records) {
  double sum = 0;
  for (const auto& record : records) sum += record.blocked;
  return sum;
}

std::vector<double> of_all_ranks(Communicator& world, double value) {
  auto all = torch::empty({world.size()}, torch::kFloat64);
  world.all_gather(all, torch::full({1}, value, torch::kFloat64));
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

template <class Sample, class Value>
double median_of(const std::vector<Sample>& samples, const Value& value) {
  std::vector<double> values;
  for (const auto& sample : samples) values.push_back(value(sample));
  return median(std::move(values));
}

}  // namespace

StepMeter::StepMeter(Communicator& world, const MakeSteps& make, torch::Device device)
    : world_(world), timed_(world), device_(device), steps_(make(timed_)) {
  shares_ = steps_->shares();
  samples_.resize(shares_.size());
}

void StepMeter::round(bool counts) {
  for (size_t kind = 0; kind < shares_.size(); ++kind) {
    timed_.take();
    world_.all_reduce(0.0);
    const double begin = device_clock(device_);
    steps_->step(kind);
    const double taken = device_clock(device_) - begin;
    if (counts) samples_[kind].push_back({taken, timed_.take()});
  }
}

StepMeter::Least StepMeter::least(const std::vector<Sample>& samples) const {
  const auto calls = static_cast<int64_t>(samples.at(0).records.size());
  auto figures = torch::zeros({2, calls, static_cast<int64_t>(samples.size())}, torch::kFloat64);
  auto at = figures.accessor<double, 3>();
  for (size_t s = 0; s < samples.size(); ++s) {
    SS_CHECK(static_cast<int64_t>(samples[s].records.size()) == calls, "steps of a kind differ");
    for (int64_t c = 0; c < calls; ++c) {
      const auto& record = samples[s].records[static_cast<size_t>(c)];
      at[0][c][static_cast<int64_t>(s)] = record.blocked;
      at[1][c][static_cast<int64_t>(s)] = record.transfer;
    }
  }
  if (calls > 0) world_.all_reduce(figures, ReduceOp::min);
  const auto medians = std::get<0>(figures.median(2)).contiguous();
  const auto* first = medians.data_ptr<double>();
  return {{first, first + calls}, {first + calls, first + 2 * calls}};
}

void StepMeter::add_messages(StepTimes& times, size_t kind) const {
  for (const auto& record : samples_[kind].at(0).records) {
    if (record.kind != Collective::Kind::all_reduce) continue;
    const auto known =
        std::find_if(times.messages.begin(), times.messages.end(),
                     [&](const auto& message) { return message.bytes == record.bytes; });
    if (known != times.messages.end())
      known->per_step += shares_[kind];
    else
      times.messages.push_back({record.bytes, shares_[kind]});
  }
}

StepTimes StepMeter::times() {
  StepTimes times;
  double step = 0, compute = 0;
  for (size_t kind = 0; kind < shares_.size(); ++kind) {
    const auto& samples = samples_[kind];
    const double share = shares_[kind];
    step += share * median_of(samples, [](const Sample& s) { return s.seconds; });
    compute += share * median_of(samples,
                                 [](const Sample& s) { return s.seconds - blocked_of(s.records); });
    const Least calls = least(samples);
    for (size_t c = 0; c < calls.blocked.size(); ++c) {
      times.exposed += share * calls.blocked[c];
      if (samples[0].records[c].asynchronous)
        times.hidden += share * std::max(0.0, calls.transfer[c] - calls.blocked[c]);
    }
    add_messages(times, kind);
    times.steps += static_cast<int64_t>(samples.size());
  }
  const auto steps = of_all_ranks(world_, step), computes = of_all_ranks(world_, compute);
  times.step = *std::max_element(steps.begin(), steps.end());
  times.compute = mean(computes);
  times.waiting = std::max(0.0, mean(steps) - times.compute - times.exposed);
  const auto longest = std::max_element(computes.begin(), computes.end());
  times.slowest = static_cast<int>(longest - computes.begin());
  auto sorted = computes;
  std::sort(sorted.begin(), sorted.end());
  times.lag = *longest - sorted[(sorted.size() - 1) / 2];  // of two ranks: behind the other
  times.wrong = steps_->wrong();
  timed_.take();
  times.wrong = static_cast<int64_t>(world_.all_reduce(static_cast<double>(times.wrong)));
  return times;
}

ScalePoint measure_scale(Communicator& part, const MakeStepsOf& make, int64_t batch,
                         torch::Device device, double seconds) {
  constexpr int64_t kLeastRounds = 3;
  const auto repeat = [&](const std::function<void(bool)>& round, double time) {
    round(false);
    const double begin = device_clock(device);
    for (int64_t done = 0;
         done < kLeastRounds || part.all_reduce(device_clock(device) - begin, ReduceOp::max) < time;
         ++done)
      round(true);
  };
  ScalePoint point;
  point.ranks = part.size();
  {
    SelfCommunicator alone;
    StepMeter together(
        part, [&](Communicator& world) { return make(world, batch * part.size()); }, device);
    if (part.size() == 1) {
      repeat([&](bool counts) { together.round(counts); }, seconds);
      point.weak = point.strong = together.times();
      point.independent = point.weak.step;
      point.groups = together.groups();
      return point;
    }
    StepMeter independent(
        alone, [&](Communicator& world) { return make(world, batch); }, device);
    repeat(
        [&](bool counts) {
          part.all_reduce(0.0);
          independent.round(counts);
          together.round(counts);
        },
        2 * seconds);
    point.weak = together.times();
    const auto own = independent.times();
    point.weak.wrong += static_cast<int64_t>(part.all_reduce(static_cast<double>(own.wrong)));
    const auto ranks = static_cast<double>(part.size());
    point.independent = ranks / part.all_reduce(1 / own.step);
  }
  StepMeter strong(
      part, [&](Communicator& world) { return make(world, batch); }, device);
  repeat([&](bool counts) { strong.round(counts); }, seconds);
  point.strong = strong.times();
  point.groups = strong.groups();
  return point;
}

}  // namespace stylescope
