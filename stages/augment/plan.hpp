#pragma once

#include "stages/augment/draws.hpp"
#include "stages/augment/operations.hpp"

#include <array>
#include <cstdint>
#include <vector>

#include <torch/types.h>

// From random numbers to what is done to each image. In double and in plain C++: the same numbers
// on every rank and device.
namespace stylescope {

struct ImageShape {
  int64_t channels = 0, height = 0, width = 0;
  bool operator==(const ImageShape&) const = default;
};

// An affine map of the plane: x' = xx*x + xy*y + x0, y' = yx*x + yy*y + y0.
struct AffineMap {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
};
AffineMap operator*(const AffineMap& a, const AffineMap& b);  // a after b

// What happens to one image, in the order in which it does.
struct ImageChange {
  // From a pixel of the result to where it lies in the image, both in pixels from their centres.
  AffineMap inverse;
  // x' = colour[3 columns] x + colour[last column], row by row. Of grey images only the first row
  // holds the factor [0] and the offset [3].
  std::array<std::array<double, 4>, 3> colour{{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
  std::array<double, 4> gains{1, 1, 1, 1};  // of the image filter's octaves, lowest first
  double noise = 0;                         // standard deviation
  // Centre in shares of the sides; `side` in shares as well, 0: none.
  struct Box {
    double x = 0.5, y = 0.5, side = 0;
  } cutout;
};

// Reflected pixels around an image, left, right, above, below.
struct ReflectedMargin {
  int64_t left = 0, right = 0, above = 0, below = 0;
};

struct AugmentPlan {
  ImageShape shape;
  std::vector<ImageChange> images;
  // Steps that are skipped for all images: those whose operations are all off.
  bool geometry = false, colour = false, filter = false, noise = false, cutout = false;
  ReflectedMargin margin;  // what the furthest corner of all images of the global batch needs

  // The same for some of the images, in this order; the margin stays.
  AugmentPlan pick(at::ArrayRef<int64_t> samples) const;
};

// p >= 0; with multiplier * p >= 1 an operation is certain. Throws Error for colour changes of
// images with neither 1 nor 3 channels, and for image filters of images below 22 pixels a side.
AugmentPlan make_plan(const AugmentOperations& operations, const std::vector<ImageDraws>& draws,
                      double p, const ImageShape& shape);

}  // namespace stylescope
