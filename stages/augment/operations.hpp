#pragma once

#include "io/base/fields.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// Adaptive discriminator augmentation (Karras et al. 2020, "Training Generative Adversarial
// Networks with Limited Data"; the operations: appendix B). The discriminator sees real and
// generated images only through random changes, so that it cannot memorise a small data set.
namespace stylescope {

// The multiplier of each operation: an image meets it with probability multiplier * p. 0: off, and
// the operation has no effect on the work either.
struct AugmentOperations {
  double xflip = 0, rotate90 = 0, xint = 0;                                    // blit
  double scale = 0, rotate = 0, aniso = 0, xfrac = 0;                          // geom
  double brightness = 0, contrast = 0, lumaflip = 0, hue = 0, saturation = 0;  // color
  double imgfilter = 0;                                                        // filter
  double noise = 0;                                                            // noise
  double cutout = 0;                                                           // cutout

  bool geometry() const;  // blit or geom: images are resampled
  bool colour() const;
  bool none() const;
  void describe(Fields& f);
};

// All operations of the pipe's groups at 1: blit, geom, color, filter, noise, cutout, and their
// sums bg, bgc, bgcf, bgcfn, bgcfnc. Throws UsageError for another name.
AugmentOperations operations_of(std::string_view pipe);

// The section gan.augment. (AugmentConfig is the supervised stages'.)
struct AdaConfig {
  std::string mode = "ada";
  std::string pipe = "bgc";
  double p = 0;
  double target = 0.6;
  double kimg = -1;
  int64_t interval = 4;
  // -1: as the pipe says.
  AugmentOperations operations{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

  void describe(Fields& f);
  // What ranges alone cannot say, for images of this size. Throws UsageError naming the key.
  void check(int64_t channels, int64_t height, int64_t width) const;
  // The pipe's multipliers, changed by those that the user gave; all 0 when the mode is off.
  AugmentOperations resolved() const;
};

// Calls visit(name, member) for every operation, in the order in which they are applied.
template <class Visit>
void for_each_operation(Visit visit) {
  using O = AugmentOperations;
  visit("xflip", &O::xflip);
  visit("rotate90", &O::rotate90);
  visit("xint", &O::xint);
  visit("scale", &O::scale);
  visit("rotate", &O::rotate);
  visit("aniso", &O::aniso);
  visit("xfrac", &O::xfrac);
  visit("brightness", &O::brightness);
  visit("contrast", &O::contrast);
  visit("lumaflip", &O::lumaflip);
  visit("hue", &O::hue);
  visit("saturation", &O::saturation);
  visit("imgfilter", &O::imgfilter);
  visit("noise", &O::noise);
  visit("cutout", &O::cutout);
}

}  // namespace stylescope
