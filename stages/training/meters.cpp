#include "stages/training/meters.hpp"

#include "io/base/error.hpp"

#include <algorithm>

namespace stylescope {

Meters::Meters(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    Meter meter;
    meter.name = name;
    meters_.push_back(meter);
  }
}

void Meters::register_with(TrainingLoop& loop) {
  for (auto& meter : meters_) {
    loop.add("meter." + meter.name + ".sum", meter.sum);
    loop.add("meter." + meter.name + ".count", meter.count);
    loop.add("meter." + meter.name + ".last", meter.last);
    loop.add("meter." + meter.name + ".seen", meter.seen);
  }
}

void Meters::add(const std::string& name, double value) {
  const auto meter =
      std::find_if(meters_.begin(), meters_.end(), [&](const Meter& m) { return m.name == name; });
  SS_CHECK(meter != meters_.end(), name);
  meter->sum += value;
  meter->count += 1;
}

Figures Meters::take() {
  Figures figures;
  for (auto& meter : meters_) {
    if (meter.count > 0) {
      meter.last = meter.sum / meter.count;
      meter.seen = 1;
    }
    meter.sum = meter.count = 0;
    if (meter.seen) figures.emplace_back(meter.name, meter.last);
  }
  return figures;
}

}  // namespace stylescope
