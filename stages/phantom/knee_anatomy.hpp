#pragma once

// The fixed part of the phantom, which drawing and measuring share. Lengths in fractions of the
// image's height, densities in 0..1 before exposure.
namespace stylescope::knee {

inline constexpr double kBackground = 0.06;
inline constexpr double kSoftTissue = 0.30;
inline constexpr double kBone = 0.58;
// The cortical edge: this much brighter than the bone inside, falling off over this depth.
inline constexpr double kCortex = 0.18;
inline constexpr double kCortexDepth = 0.014;

// The marker disc: fixed in the picture, opaque, from its darkest to its brightest.
inline constexpr double kMarkerX = 0.09375;
inline constexpr double kMarkerY = 0.09375;
inline constexpr double kMarkerRadius = 0.0625;
inline constexpr double kMarkerDark = 0.12;
inline constexpr double kMarkerBright = 0.82;

}  // namespace stylescope::knee
