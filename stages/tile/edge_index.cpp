#include "stages/tile/edge_index.hpp"

#include "io/base/error.hpp"

#include <array>
#include <cmath>
#include <limits>

namespace stylescope {
namespace {

// A tile is some hundred level 0 pixels high: finer bands would only be more to walk through.
constexpr double kLeastHeight = 32;
constexpr double kMostBands = 65536;
// An edge lies in as many bands as it touches: bands so high that these are few on average.
constexpr double kMostEntries = 4;

double squared_distance(const Point& p, const Rectangle& r) {
  const double dx = std::max({r.left - p.x, 0.0, p.x - r.right});
  const double dy = std::max({r.top - p.y, 0.0, p.y - r.bottom});
  return dx * dx + dy * dy;
}

double squared_distance(const Point& p, const Edge& edge) {
  const double dx = edge.lower.x - edge.upper.x, dy = edge.lower.y - edge.upper.y;
  const double px = p.x - edge.upper.x, py = p.y - edge.upper.y;
  const double length = dx * dx + dy * dy;
  const double t = length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0, 1.0) : 0.0;
  return (px - t * dx) * (px - t * dx) + (py - t * dy) * (py - t * dy);
}

}  // namespace

// Clipping as Liang and Barsky (1984) do it.
bool meets(const Edge& edge, const Rectangle& r) {
  const double dx = edge.lower.x - edge.upper.x, dy = edge.lower.y - edge.upper.y;
  double enter = 0, leave = 1;
  const std::array<std::array<double, 2>, 4> sides{{{-dx, edge.upper.x - r.left},
                                                    {dx, r.right - edge.upper.x},
                                                    {-dy, edge.upper.y - r.top},
                                                    {dy, r.bottom - edge.upper.y}}};
  for (const auto& [slope, room] : sides) {
    if (slope == 0) {
      if (room < 0) return false;
    } else if (slope < 0) {
      enter = std::max(enter, room / slope);
    } else {
      leave = std::min(leave, room / slope);
    }
  }
  return enter <= leave;
}

// Apart, the nearest pair has an end of the segment or a corner of the rectangle in it.
double squared_distance(const Edge& edge, const Rectangle& r) {
  if (meets(edge, r)) return 0;
  return std::min(
      {squared_distance(edge.upper, r), squared_distance(edge.lower, r),
       squared_distance({r.left, r.top}, edge), squared_distance({r.right, r.top}, edge),
       squared_distance({r.left, r.bottom}, edge), squared_distance({r.right, r.bottom}, edge)});
}

EdgeIndex::EdgeIndex(std::vector<Edge> edges) {
  if (edges.empty()) return;
  top_ = std::numeric_limits<double>::infinity();
  bottom_ = -top_;
  double travel = 0;
  for (const Edge& edge : edges) {
    top_ = std::min(top_, edge.upper.y);
    bottom_ = std::max(bottom_, edge.lower.y);
    travel += edge.lower.y - edge.upper.y;
  }
  height_ = std::max({kLeastHeight, travel / (kMostEntries * static_cast<double>(edges.size())),
                      (bottom_ - top_) / kMostBands});
  const auto bands = static_cast<int64_t>((bottom_ - top_) / height_) + 1;
  starts_.assign(bands + 1, 0);
  for (Edge& edge : edges) {
    edge.first_band = band(edge.upper.y);
    for (int32_t b = edge.first_band; b <= band(edge.lower.y); ++b) ++starts_[b + 1];
  }
  for (int64_t b = 0; b < bands; ++b) {
    SS_CHECK(starts_[b] <= std::numeric_limits<uint32_t>::max() - starts_[b + 1]);
    starts_[b + 1] += starts_[b];
  }
  entries_.resize(starts_.back());
  std::vector<uint32_t> next(starts_.begin(), starts_.end() - 1);
  std::ranges::sort(edges, {}, &Edge::left);
  for (const Edge& edge : edges)
    for (int32_t b = edge.first_band; b <= band(edge.lower.y); ++b) entries_[next[b]++] = edge;
}

int32_t EdgeIndex::band(double y) const {
  const auto last = static_cast<double>(starts_.size() - 2);
  return static_cast<int32_t>(std::clamp(std::floor((y - top_) / height_), 0.0, last));
}

}  // namespace stylescope
