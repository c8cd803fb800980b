#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <torch/torch.h>

// Knee-like radiographs by a closed procedure: femur above, tibia below, and between them the joint
// space, whose width causes the label. Everything else (size, position, exposure, texture, noise, a
// metal marker) varies independently of it, so that an explanation of a classifier can be checked
// against a known cause.
//
// Lengths are fractions of the image's height; x to the right, y down.
namespace stylescope {

// The numbers behind one image.
struct KneeFactors {
  double joint_width = 0.13;  // kMinJointWidth..kMaxJointWidth: the cause of the label
  double nuisance = 0.5;      // 0..1: brightness of the marker disc in the upper left corner
  double bone_width = 1;      // scale of the bones across
  double shift_x = 0;         // of the joint's centre from the image's centre
  double shift_y = 0;
  double tilt = 0;  // radians, about the joint's centre
  double gain = 1;  // exposure: brightness = gain * density + offset
  double offset = 0;

  // 1: narrow (diseased), 0: wide.
  int64_t label() const;
  // As ingest stores them with each image.
  std::map<std::string, double> attributes() const;
};

inline constexpr double kMinJointWidth = 0.06;
inline constexpr double kMaxJointWidth = 0.20;
// An image whose joint is narrower is diseased: a fixed threshold, without label noise.
inline constexpr double kNarrowJointWidth = 0.13;

// The factors of a subject's image; a pure function of its arguments. Subjects with an even number
// are wide, those with an odd one narrow; within a class the density of widths falls linearly to
// zero at the threshold, so that the classes can be told apart but are not far apart. Images of one
// subject differ a little in width, position, tilt and exposure. `nuisance_correlation` (-1..1):
// correlation of the normal scores of joint width and nuisance (0: independent).
KneeFactors knee_factors(uint64_t seed, int64_t subject, int64_t image,
                         double nuisance_correlation = 0);

// The image: (1, size, size) uint8. Texture and noise are keyed by (seed, subject, image); `size`
// is 16..1024.
torch::Tensor draw_knee(const KneeFactors& factors, int64_t size, uint64_t seed, int64_t subject,
                        int64_t image);

}  // namespace stylescope
