#pragma once

#include "stages/phantom/slide_anatomy.hpp"

#include <cstdint>
#include <vector>

// What changes slowly over a block of the slide phantom, on a lattice of nodes a few micrometres
// apart that reaches past the block as far as a cell does; linear between the nodes.
namespace stylescope {

inline constexpr int64_t kBlock = 64;  // pixels a side: slides are drawn in whole blocks

class TissueFields {
 public:
  enum Name : size_t { tissue, fat, tumour, trabecula, septum, patch, warp, ink, kNames };

  TissueFields(const SlideAnatomy& anatomy, double mpp);
  // Computes all nodes for the block whose first pixel is (x, y).
  void move_to(int64_t x, int64_t y);
  // At a point in pixels from the block's first one; within the margin.
  float at(Name name, float x, float y) const;
  // At the middles of a row's pixels.
  void row(Name name, int64_t y, float* values) const;
  float highest(Name name) const;
  float lowest(Name name) const;
  // Pixels past the block that the nodes cover.
  float margin() const { return static_cast<float>(around_ * pitch_); }

 private:
  float value(Name name, double x, double y) const;
  const std::vector<float>& nodes(Name name) const { return nodes_[name]; }

  const SlideAnatomy& plan_;
  double mpp_, reach_;
  int64_t pitch_, around_, side_;
  std::vector<std::vector<float>> nodes_;
};

// How far cells reach from their centres, micrometres.
inline constexpr double kCellReach = 13;

}  // namespace stylescope
