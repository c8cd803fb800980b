#pragma once

#include "stages/gan/gan_config.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

// How many steps the gan stage takes, and how often it leaves a grid of pictures and a generator.
namespace stylescope {

constexpr int64_t kGridImages = 32;

inline int64_t gan_steps(const GanConfig& config) {
  return static_cast<int64_t>(std::ceil(config.kimg * 1000 / static_cast<double>(config.batch)));
}

// 20 snapshots in all where the configuration does not say.
inline int64_t steps_between_snapshots(const GanConfig& config, int64_t total_steps) {
  constexpr int64_t kAutomaticSnapshots = 20;
  const double steps = config.snapshot_kimg * 1000 / static_cast<double>(config.batch);
  return std::max<int64_t>(
      config.snapshot_kimg > 0 ? std::llround(steps) : total_steps / kAutomaticSnapshots, 1);
}

}  // namespace stylescope
