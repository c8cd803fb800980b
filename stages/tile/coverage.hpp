#pragma once

#include "io/annotation.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// How much of a rectangle is covered by outlines. A point is positive when it lies in a shape of a
// positive group and in none of an exclusion group: exclusions come last, whatever the order in the
// file (Camelyon16: Tumor, _0, _1 are positive; _2, Exclusion and None exclude). Holes,
// self-intersections (even-odd rule within a shape), overlaps and parts outside the slide need no
// care.
namespace stylescope {

struct AnnotationGroups {
  std::vector<std::string> positive, exclusion;
};

class Coverage {
 public:
  // Shapes of groups in neither list are left out and counted in unknown_groups(), each name once.
  Coverage(const std::vector<Shape>& shapes, const AnnotationGroups& groups);
  ~Coverage();
  Coverage(Coverage&&) noexcept;
  Coverage& operator=(Coverage&&) noexcept;

  // Share of the rectangle that is positive, 0..1: exact along x, sampled on `lines` scan lines
  // along y (their middles). From any thread.
  double covered(double x, double y, double width, double height, int64_t lines = 128) const;
  // Is an outline of a positive shape nearer to the rectangle than `distance` (level 0 pixels)? For
  // hard negatives.
  bool near_border(double x, double y, double width, double height, double distance) const;
  const std::vector<std::string>& unknown_groups() const;
  bool empty() const;  // no positive shape
  // Positive shapes that lie wholly or in part outside of [0, width) x [0, height), as sentences
  // for the log.
  std::vector<std::string> outside(int64_t width, int64_t height) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stylescope
