#pragma once

#include "io/explanation_set.hpp"

#include <filesystem>

namespace stylescope {

// strip-<row>.png for each image (original, reconstruction, then the strip from the lowest lambda
// to the highest, side by side) and strips.png (all images below each other, at most 7 steps of
// each strip). Small images are enlarged by a whole factor so that they can be looked at.
void write_strip_pictures(const std::filesystem::path& folder, const ExplanationSet& set);

}  // namespace stylescope
