#pragma once

#include "io/annotation.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

// What the readers and writers of outlines (asap_xml, geojson) have in common.
namespace stylescope {

// Passes a coordinate on. Throws Error, starting with `where` ("file: line 3: annotation 'x'"),
// when it is NaN, infinite or beyond a thousand million pixels: a label made of a guess is worse
// than none.
double outline_coordinate(double value, std::string_view where);

// Takes out the points that repeat the one before (named in `problems`) and a last point that
// repeats the first (how formats close a ring: not named). False, with a sentence, when no area is
// left: fewer than 3 points, or all on one line. `who`: "annotation 'x' (Polygon)".
bool tidy_ring(Ring& ring, const std::string& who, std::vector<std::string>& problems);

// Red, green, blue, 0..255: the same group has the same colour in every file.
std::array<int, 3> group_colour(std::string_view group);

}  // namespace stylescope
