#pragma once

#include "stages/phantom/cell_noise.hpp"

// The few numbers of the slide phantom's look that its drawing and its measurement share. Lengths
// in micrometres.
namespace stylescope::tissue {

inline constexpr float kSmallRadius = 3.5F;  // of a lymphocyte's nucleus
inline constexpr float kLargeRadius = 6.5F;  // of a tumour cell's
inline constexpr float kCapsule = 12;        // thickness

// Optical densities, RGB, of unit length.
inline constexpr float kHaematoxylin[3] = {0.619F, 0.699F, 0.359F};
inline constexpr float kEosin[3] = {0.141F, 0.864F, 0.483F};

// 0..1: how much of a place is stroma, for the value of the field (-1..1) whose zero lines it
// follows.
STYLESCOPE_INLINE float band(float field, float half_width, float steepness) {
  const float away = field < 0 ? -field : field;
  return clamp_unit((half_width - away) * steepness);
}
STYLESCOPE_INLINE float trabecula_share(float field) { return band(field, 0.09F, 18); }
STYLESCOPE_INLINE float septum_share(float field) { return band(field, 0.08F, 18); }

}  // namespace stylescope::tissue
