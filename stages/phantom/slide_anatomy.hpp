#pragma once

#include "io/annotation.hpp"
#include "stages/phantom/slide_phantom.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

// What lies where on a slide of the phantom, before any pixel is drawn. Lengths in level 0 pixels.
namespace stylescope {

// A smooth closed curve around a centre: its distance from the centre as a function of the
// direction, at directions equally far apart and linear between them.
class Blob {
 public:
  static constexpr int64_t kDirections = 360;

  Blob(double x, double y, std::vector<double> radii);
  // About how deep inside of the curve a point lies, measured towards the centre; negative outside.
  // Beyond +-`reach` it is cut off there.
  double depth(double x, double y, double reach) const;
  Ring ring() const;
  double area() const;
  Blob scaled(double factor) const;
  Blob moved_to(double x, double y) const;
  double x() const { return x_; }
  double y() const { return y_; }
  double outer_radius() const { return outer_; }

 private:
  double x_, y_, inner_, outer_;
  std::vector<double> radii_;
};

struct PenStroke {
  Ring path;  // open
  double half_width = 0;
  std::array<float, 3> density{};  // optical density of the ink, RGB
};

struct SlideAnatomy {
  std::vector<Blob> tissue;   // one or two pieces, apart from each other
  std::vector<Blob> fat;      // holes in the tissue
  std::vector<Blob> tumour;   // inside of the tissue, clear of the fat
  std::vector<Blob> islands;  // of normal tissue inside of a tumour
  SlideStain stain;
  std::array<float, 3> glass{};  // grey levels
  double fibre_angle = 0;        // main direction of the stroma's fibres, radians
  std::optional<PenStroke> pen;
  int64_t left = 0, top = 0, right = 0, bottom = 0;  // what lies outside is black
  uint32_t key = 0;                                  // of everything drawn from cells
};

SlideAnatomy make_anatomy(const SlidePhantomConfig& config, uint64_t seed, int64_t slide);

// Depth inside of the nearest of several blobs; -reach when there is none.
double depth_in(const std::vector<Blob>& blobs, double x, double y, double reach);

}  // namespace stylescope
