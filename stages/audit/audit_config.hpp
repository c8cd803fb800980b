#pragma once

#include "io/base/fields.hpp"

#include <cstdint>
#include <string>

namespace stylescope {

// How images of different splits are compared, and what follows. The defaults were measured: of
// 6,604 knees (Osteoarthritis Initiative) and 11,000 PatchCamelyon patches no two different images
// within max_distance of each other correlate by more than 0.95, and copies that were saved again,
// made brighter or darker, or blurred by more than 0.97.
struct AuditConfig {
  std::string near_duplicates = "stop";  // stop | warn | drop | off
  int64_t max_distance = 10;
  double min_correlation = 0.97;
  double min_contrast = 4;
  std::string orientations = "mirrored";  // same | mirrored | all

  void describe(Fields& f);
  bool on() const { return near_duplicates != "off"; }
};

}  // namespace stylescope
