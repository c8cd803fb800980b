#pragma once

#include "io/annotation.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

// The edges of outlines, sorted into horizontal bands, so that a question about a tile looks at the
// edges at its height only. Memory: at most some five entries an edge, however long the edges are.
namespace stylescope {

struct Edge {
  Point upper, lower;  // upper.y <= lower.y
  int32_t ring = 0;
  int32_t first_band = 0;  // set by the index

  double left() const { return std::min(upper.x, lower.x); }
  double right() const { return std::max(upper.x, lower.x); }
  // Where it crosses the line at this height; half open, so that two edges that meet in a point
  // cross a line through it once.
  bool crosses(double y) const { return upper.y <= y && y < lower.y; }
  double x_at(double y) const {
    const double share = std::clamp((y - upper.y) / (lower.y - upper.y), 0.0, 1.0);
    return upper.x + share * (lower.x - upper.x);
  }
};

struct Rectangle {
  double left = 0, top = 0, right = 0, bottom = 0;
};
// Do the edge and the rectangle, both with their borders, meet?
bool meets(const Edge& edge, const Rectangle& rectangle);
// Between the nearest points of both; 0 where they meet.
double squared_distance(const Edge& edge, const Rectangle& rectangle);

class EdgeIndex {
 public:
  EdgeIndex() = default;
  explicit EdgeIndex(std::vector<Edge> edges);

  // Calls visit(edge), once for each edge that meets top <= y <= bottom and begins left of `right`,
  // until visit returns false.
  template <class Visit>
  void visit(double top, double bottom, double right, Visit&& visit) const {
    if (starts_.empty() || bottom < top_ || top > bottom_) return;
    const int32_t first = band(top), last = band(bottom);
    for (int32_t b = first; b <= last; ++b)
      for (uint32_t i = starts_[b]; i < starts_[b + 1]; ++i) {
        const Edge& edge = entries_[i];
        if (edge.left() >= right) break;
        if (b != std::max(edge.first_band, first)) continue;  // seen in a band above
        if (edge.lower.y < top || edge.upper.y > bottom) continue;
        if (!visit(edge)) return;
      }
  }

 private:
  int32_t band(double y) const;

  double top_ = 0, bottom_ = 0, height_ = 1;  // of all edges; of a band
  std::vector<uint32_t> starts_;              // of each band, and the end
  std::vector<Edge> entries_;                 // within a band by left()
};

}  // namespace stylescope
