#include "stages/audit/audit_config.hpp"

namespace stylescope {

void AuditConfig::describe(Fields& f) {
  f.choice("near_duplicates", near_duplicates, {"stop", "warn", "drop", "off"},
           "images of different splits that are nearly the same: stop; warn; drop: leave out the "
           "training one (of val and test: val's), which tiles cannot; off: do not look");
  f.field("max_distance", max_distance, {0, 15},
          "bits of 63 in which their perceptual hashes may differ");
  f.field("min_correlation", min_correlation, {0, 1},
          "correlation of what they have beyond the data set's mean image, at least");
  f.field("min_contrast", min_contrast, {0, 255},
          "images whose grey levels have a smaller standard deviation are not compared: there is "
          "nothing on them");
  f.choice("orientations", orientations, {"same", "mirrored", "all"},
           "copies that are looked for: as they are; mirrored left to right too; turned and "
           "mirrored in all 8 ways");
}

}  // namespace stylescope
