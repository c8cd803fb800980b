#pragma once

#include "io/base/simd.hpp"

// Marker ink by the colour of one pixel (T: an integer or a vector of them, channels 0..255; Truth:
// bool or such a vector).
//
// Haematoxylin and eosin both absorb green most: in optical density a mixture's red is at most
// about its green, its blue at least 0.4 of its red and at most 0.75 of its green. What breaks that
// by a margin which noise and white balance do not bridge is ink:
//   blue, green  green brighter than red by more than 24 (a stain whose red density is 1.2 times
//   its
//                green density reaches 17), or blue brighter than both by more than 100
//                (haematoxylin reaches 75)
//   red          bright in red, and blue as dark as green (eosin leaves blue clearly brighter)
//   black        dark and without colour: the darkest stain keeps a purple of more than 12 levels
// Purple ink looks like haematoxylin and is not found; ink thinner than a pixel neither.
namespace stylescope {

template <class T, class Truth>
STYLESCOPE_INLINE void find_ink(const T& r, const T& g, const T& b, Truth& ink) {
  const T high = r > g ? (r > b ? r : b) : (g > b ? g : b);
  const T low = r < g ? (r < b ? r : b) : (g < b ? g : b);
  const auto blue_green = (g - r > 24) | (b - (r > g ? r : g) > 100);
  const auto red = (r >= 120) & (r - b > 70) & (g < 100) & ((b - g) * 8 < r - g);
  const auto black = (high <= 90) & (high - low <= 12);
  ink = blue_green | red | black;
}

}  // namespace stylescope
