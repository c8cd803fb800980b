#pragma once

#include "stages/quality/metrics_config.hpp"

namespace stylescope {

// Figures of the generator while it is trained (gan.metrics). Off by default: they cost as much as
// generating `images` and running the feature network on them.
struct GanMetricsConfig : MetricsConfig {
  double every_kimg = 0;
  bool keep_best = true;

  void describe(Fields& f);
  // Throws UsageError.
  void check() const;
  bool on() const { return every_kimg > 0; }
};

}  // namespace stylescope
