#pragma once

#include "stages/tile/slide_plan.hpp"

#include <filesystem>
#include <string>

namespace stylescope {

// A picture of the whole slide: kept tiles filled green (negative) or red (positive), dropped ones
// in the colour of their reason, the outline of the tissue in blue and of the annotation in yellow;
// below, the slide's name, its scale, and the count of every colour. At most about 2,000 pixels
// across.
void write_overview(const std::filesystem::path& file, const SlidePlan& plan,
                    const std::string& name);

}  // namespace stylescope
