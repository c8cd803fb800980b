#pragma once

#include "io/slide.hpp"

#include <memory>
#include <string>

// Slides stored as tiled TIFF with JPEG tiles, read without OpenSlide and without its painting:
// libtiff reads the directories once, and from then on every thread reads compressed bytes by pread
// and decodes them by libjpeg-turbo, as OpenSlide does underneath, so the pixels are the same.
//
// Where both differ: a place on a level whose downsample is no whole number (OpenSlide
// interpolates; here the stored pixels come), and tiles of zero length in a generic TIFF
// (OpenSlide 3.4.1 fails; here they are background).
//
// A rectangle that is one stored tile is decoded into the caller's memory and not kept; of all
// others the tiles go through a cache.
namespace stylescope {

// `truth`: the same file opened by OpenSlide, asked for levels and properties. Nothing, and the
// reason in `why_not`, where the file is not of this kind. Throws Error when it cannot be opened.
std::unique_ptr<Slide> open_tiff_slide(const Slide& truth, const SlideOptions& options,
                                       std::string& why_not);

}  // namespace stylescope
