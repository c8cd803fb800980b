#pragma once

#include "io/base/error.hpp"
#include "io/slide.hpp"

#include <string_view>

namespace stylescope {

// Throws the Error of Slide::read, the same for both readers.
[[noreturn]] inline void fail_reading(const Slide& slide, int64_t level, int64_t x, int64_t y,
                                      int64_t width, int64_t height, std::string_view why) {
  throw Error(detail::concatenate(slide.file().string(), ": cannot read level ", level, ", ", width,
                                  " x ", height, " pixels at (", x, ", ", y, ") (", why,
                                  "); leave this place out, or copy or download the slide again"));
}

}  // namespace stylescope
