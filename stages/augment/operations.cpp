#include "stages/augment/operations.hpp"

#include "io/base/error.hpp"

#include <algorithm>

namespace stylescope {

bool AugmentOperations::geometry() const {
  return std::max({xflip, rotate90, xint, scale, rotate, aniso, xfrac}) > 0;
}

bool AugmentOperations::colour() const {
  return std::max({brightness, contrast, lumaflip, hue, saturation}) > 0;
}

bool AugmentOperations::none() const {
  return !geometry() && !colour() && std::max({imgfilter, noise, cutout}) <= 0;
}

void AugmentOperations::describe(Fields& f) {
  const RealRange range{-1, 1e3};
  f.field("xflip", xflip, range, "left-right mirror images");
  f.field("rotate90", rotate90, range, "quarter turns");
  f.field("xint", xint, range, "shifts by whole pixels, up to an eighth of the side");
  f.field("scale", scale, range, "magnification, 2^(0.2 N)");
  f.field("rotate", rotate, range, "turns by any angle");
  f.field("aniso", aniso, range, "stretching along a random axis, 2^(0.2 N)");
  f.field("xfrac", xfrac, range, "shifts by an eighth of the side times N");
  f.field("brightness", brightness, range, "adds 0.2 N");
  f.field("contrast", contrast, range, "multiplies by 2^(0.5 N)");
  f.field("lumaflip", lumaflip, range, "exchanges light and dark, hues stay");
  f.field("hue", hue, range, "turns hues by any angle (colour images)");
  f.field("saturation", saturation, range, "multiplies saturation by 2^N (colour images)");
  f.field("imgfilter", imgfilter, range, "amplifies or damps four bands of frequencies");
  f.field("noise", noise, range, "adds noise of standard deviation 0.1 |N|");
  f.field("cutout", cutout, range, "blackens a box of half the side");
}

AugmentOperations operations_of(std::string_view pipe) {
  // The sums are spelt by the groups' first letters; a group's own name is not.
  std::string_view groups = pipe;
  if (pipe == "blit")
    groups = "b";
  else if (pipe == "geom")
    groups = "g";
  else if (pipe == "color")
    groups = "c";
  else if (pipe == "filter")
    groups = "f";
  else if (pipe == "noise")
    groups = "n";
  else if (pipe == "cutout")
    groups = "o";
  else if (pipe == "bgcfnc")
    groups = "bgcfno";
  else if (pipe != "bg" && pipe != "bgc" && pipe != "bgcf" && pipe != "bgcfn")
    throw UsageError(detail::concatenate(
        "key 'gan.augment.pipe' is '", pipe,
        "', which is no pipe; choose blit, geom, color, filter, noise, cutout, bg, bgc, bgcf, "
        "bgcfn or bgcfnc"));
  AugmentOperations o;
  for (const char group : groups) switch (group) {
      case 'b':
        o.xflip = o.rotate90 = o.xint = 1;
        break;
      case 'g':
        o.scale = o.rotate = o.aniso = o.xfrac = 1;
        break;
      case 'c':
        o.brightness = o.contrast = o.lumaflip = o.hue = o.saturation = 1;
        break;
      case 'f':
        o.imgfilter = 1;
        break;
      case 'n':
        o.noise = 1;
        break;
      default:
        o.cutout = 1;
    }
  return o;
}

void AdaConfig::describe(Fields& f) {
  f.choice("mode", mode, {"off", "fixed", "ada"},
           "augment what D sees: never, with the fixed probability p, or adapting p to how much D "
           "overfits");
  f.choice("pipe", pipe,
           {"blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn",
            "bgcfnc"},
           "which operations");
  f.field("p", p, {0, 1e3}, "probability of each operation (ada: of the first step)");
  f.field("target", target, {-1, 1}, "ada: the mean sign of D on real images that p is to hold");
  f.field("kimg", kimg, {-1, 1e9},
          "ada: thousands of images in which p can rise by 1 (-1: 500, with first weights given "
          "100)");
  f.field("interval", interval, {1, 1000000}, "ada: steps between two changes of p");
  f.section("operations", operations,
            "the probability's factor of each operation (-1: as the pipe says; 0: off). Switch off "
            "what the anatomy does not allow: rotate90, hue and lumaflip for X-rays");
}

void AdaConfig::check(int64_t channels, int64_t height, int64_t width) const {
  if (mode == "off") return;
  for_each_operation([&](const char* name, double AugmentOperations::*member) {
    const double x = operations.*member;
    if (x < 0 && x != -1)
      throw UsageError(detail::concatenate("key 'gan.augment.operations.", name, "' is ", x,
                                           "; give a factor of at least 0, or -1 for the pipe's"));
  });
  if (kimg <= 0 && kimg != -1)
    throw UsageError(detail::concatenate("key 'gan.augment.kimg' is ", kimg,
                                         "; give a positive number, or -1 for the default"));
  if (mode == "fixed" && p == 0)
    throw UsageError(
        "key 'gan.augment.p' is 0, with which mode 'fixed' augments nothing; give the probability, "
        "or set gan.augment.mode to 'off'");
  const auto o = resolved();
  // The filter's 43 taps read 21 reflected pixels, and a reflection needs one pixel more.
  if (o.imgfilter > 0 && std::min(height, width) < 22)
    throw UsageError(detail::concatenate(
        "key 'gan.augment.pipe' is '", pipe,
        "', whose image filter needs images of 22 pixels a "
        "side at least (these have ",
        height, " x ", width, "); choose bgc, or set gan.augment.operations.imgfilter to 0"));
  if (o.colour() && channels != 1 && channels != 3)
    throw UsageError(detail::concatenate("key 'gan.augment.pipe' is '", pipe,
                                         "', whose colour changes need images of 1 or 3 channels "
                                         "(these have ",
                                         channels, "); choose bg"));
}

AugmentOperations AdaConfig::resolved() const {
  if (mode == "off") return {};
  auto o = operations_of(pipe);
  for_each_operation([&](const char*, double AugmentOperations::*member) {
    if (operations.*member >= 0) o.*member = operations.*member;
  });
  return o;
}

}  // namespace stylescope
