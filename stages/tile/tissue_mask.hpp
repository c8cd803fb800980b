#pragma once

#include "io/annotation.hpp"
#include "io/base/fields.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Where the tissue is, found on a small picture of the slide.
namespace stylescope {

struct TissueConfig {
  double mpp = 8;                // of the picture that the mask is found on, micrometres a pixel
  double min_saturation = 0.05;  // tissue has more than this (0..1), whatever Otsu's threshold
  double min_density = 0.05;     // optical density (log10, mean of the channels) that tissue has at
                                 // least
  double close_um = 40;          // gaps narrower than this are closed
  double open_um = 16;           // specks narrower than this are removed
  double min_area_um2 = 20000;   // smaller pieces are removed
  double min_hole_um2 = 20000;   // smaller holes are filled
  void describe(Fields& f);
};

struct TissueMask {
  int64_t width = 0, height = 0;
  double scale_x = 1, scale_y = 1;  // level 0 pixels per mask pixel
  std::vector<uint8_t> tissue;      // (height, width), 0 or 1
  // Padding, and ink grown by its pale rim (open_um), found on the way: find_tissue never takes
  // them for tissue.
  std::vector<uint8_t> black, pen;
  double saturation_threshold = 0;  // the one that was used (0..1)
  // Share of a level 0 rectangle that `plane` (one of the above) marks; mask pixels count by the
  // part that lies in it. 0 outside.
  double share(const std::vector<uint8_t>& plane, double x, double y, double width,
               double height) const;
};

// picture: interleaved RGB (height, width, 3), mpp micrometres a pixel (config.mpp is the
// caller's). Saturation is (max - min) / max of the channels. The rule, for a pixel that is neither
// black (brightest channel at most 30) nor ink (ink.hpp):
//   stained  its saturation is above the threshold, and its density reaches min_density; or
//   pale     its saturation is above min_saturation, and its density is that of glass + 2 *
//            min_density or more (pale stroma, which Otsu's threshold alone would lose)
// The threshold is Otsu's (computed without black and ink pixels), at least min_saturation,
// provided that it parts glass from tissue: the means of its classes lie further apart than twice
// the sum of their standard deviations, and the lower class is no denser than 0.1. Else (pure
// glass, nothing but tissue) it is min_saturation. Glass has the mean density of the lower class,
// or 0 then. So grey dust (no colour) is never tissue and a picture of nothing but tissue is not
// cut in half. Then closing, opening, small holes filled (not those that reach the border), small
// pieces removed; kernels are the odd number of mask pixels nearest to the widths in micrometres.
TissueMask find_tissue(const uint8_t* picture, int64_t width, int64_t height, double scale_x,
                       double scale_y, double mpp, const TissueConfig& config);

// The pieces of tissue (pixels that share an edge) as polygons with holes in level 0 pixels (group
// "Tissue"), along the edges of mask pixels; no ring touches itself. And back: a mask pixel is
// tissue when its middle lies inside a shape (even-odd within a shape), black and ink or not: these
// outlines are somebody's word. Back and forth gives the same mask.
std::vector<Shape> outlines_of(const TissueMask& mask);
void replace_tissue(TissueMask& mask, const std::vector<Shape>& shapes);

}  // namespace stylescope
