#include "stages/tile/coverage.hpp"

#include "io/base/error.hpp"
#include "stages/tile/edge_index.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace stylescope {
namespace {

// Rings are numbered shape by shape, the outer one first.
struct RingRole {
  int32_t shape = 0;
  bool hole = false;
  bool positive = false;  // of its shape; else an exclusion
};

struct Extent {
  std::string who;
  double left = std::numeric_limits<double>::infinity(), top = left, right = -left, bottom = -left;

  void add(const Point& p) {
    left = std::min(left, p.x), right = std::max(right, p.x);
    top = std::min(top, p.y), bottom = std::max(bottom, p.y);
  }
};

// For visit(), which takes what begins left of a place: what begins there, too.
double just_right_of(double x) {
  return std::nextafter(x, std::numeric_limits<double>::infinity());
}

// Where the scan goes: line k lies at top + (k + 1/2) * step.
struct ScanLines {
  double top, step;
  int64_t count;

  double y(int64_t k) const { return top + (static_cast<double>(k) + 0.5) * step; }
  // The first line at or below a height: shared ends of edges give shared lines.
  int64_t at_or_below(double height) const {
    const double k = std::ceil((height - top) / step - 0.5);
    return static_cast<int64_t>(std::clamp(k, 0.0, static_cast<double>(count)));
  }
};

// Which shapes a moving point is in; a point is positive in some positive shape and no exclusion.
class Membership {
 public:
  explicit Membership(const std::vector<RingRole>& roles) : roles_(&roles) {}

  // Rings must be named here, in ascending order, before cross() may have their slot.
  void expect(int32_t ring) {
    const RingRole& role = (*roles_)[ring];
    if (shapes_.empty() || shapes_.back().number != role.shape)
      shapes_.push_back({role.shape, role.positive});
  }
  size_t slot(int32_t ring) const {
    const auto found = std::ranges::lower_bound(shapes_, (*roles_)[ring].shape, {}, &State::number);
    return static_cast<size_t>(found - shapes_.begin());
  }
  // The point crosses a ring, and is within it afterwards or not.
  void cross(size_t slot, bool hole, bool within) {
    State& shape = shapes_[slot];
    const bool was = shape.within();
    if (hole)
      shape.holes += within ? 1 : -1;
    else
      shape.outer = within;
    if (const int change = static_cast<int>(shape.within()) - static_cast<int>(was); change != 0)
      (shape.positive ? positive_ : excluding_) += change;
  }
  bool positive() const { return positive_ > 0 && excluding_ == 0; }

 private:
  struct State {
    int32_t number = 0;
    bool positive = false;
    bool outer = false;
    int holes = 0;
    bool within() const { return outer && holes == 0; }
  };
  const std::vector<RingRole>* roles_;
  std::vector<State> shapes_;
  int positive_ = 0, excluding_ = 0;
};

void keep_odd(std::vector<int32_t>& rings) {
  std::ranges::sort(rings);
  size_t kept = 0;
  for (size_t i = 0; i < rings.size();) {
    size_t end = i;
    while (end < rings.size() && rings[end] == rings[i]) ++end;
    if ((end - i) % 2 == 1) rings[kept++] = rings[i];
    i = end;
  }
  rings.resize(kept);
}

}  // namespace

struct Coverage::Impl {
  std::vector<RingRole> rings;
  std::vector<Extent> extents;  // of positive shapes
  Extent all;
  EdgeIndex index;
  std::vector<std::string> unknown;

  void add(const Shape& shape, bool positive, std::vector<Edge>& edges);
  std::vector<int32_t> rings_around(double x, double y) const;
  bool is_positive(const std::vector<int32_t>& around) const;
  double scan(const Rectangle& r, const ScanLines& lines,
              const std::vector<const Edge*>& inside) const;
};

namespace {

// A line's crossing with an edge of the ring `active[slot]`.
struct Crossing {
  double x = 0;
  uint32_t slot = 0;
};

// The state of some rings along the scan lines of a rectangle: within or not at its left side, and
// the crossings from there to its right side.
class Scan {
 public:
  Scan(const Rectangle& r, const ScanLines& lines, const std::vector<const Edge*>& inside)
      : r_(r), lines_(lines) {
    for (const Edge* edge : inside) active_.push_back(edge->ring);
    std::ranges::sort(active_);
    active_.erase(std::unique(active_.begin(), active_.end()), active_.end());
    toggles_.assign(active_.size() * (lines_.count + 1), 0);
    count_crossings(inside);
    place_crossings(inside);
  }
  const std::vector<int32_t>& active() const { return active_; }
  bool is_active(int32_t ring) const { return std::ranges::binary_search(active_, ring); }

  // An edge of an active ring left of the rectangle: changes sides for the lines that it crosses.
  void pass_left(const Edge& edge) {
    toggle(slot(edge), lines_.at_or_below(edge.upper.y), lines_.at_or_below(edge.lower.y));
  }
  // Call once all edges are in. within(slot, k): at the left side, on line k.
  void settle() {
    for (size_t slot = 0; slot < active_.size(); ++slot) {
      uint8_t* row = toggles_.data() + slot * (lines_.count + 1);
      for (int64_t k = 1; k < lines_.count; ++k) row[k] ^= row[k - 1];
    }
    for (int64_t k = 0; k < lines_.count; ++k)
      std::sort(crossings_.begin() + starts_[k], crossings_.begin() + starts_[k + 1],
                [](const Crossing& a, const Crossing& b) { return a.x < b.x; });
  }
  bool within(size_t slot, int64_t k) const { return toggles_[slot * (lines_.count + 1) + k] != 0; }
  std::span<const Crossing> crossings(int64_t k) const {
    return {crossings_.data() + starts_[k], crossings_.data() + starts_[k + 1]};
  }

 private:
  uint32_t slot(const Edge& edge) const {
    return static_cast<uint32_t>(std::ranges::lower_bound(active_, edge.ring) - active_.begin());
  }
  void toggle(size_t slot, int64_t first, int64_t end) {
    uint8_t* row = toggles_.data() + slot * (lines_.count + 1);
    row[first] ^= 1;
    row[end] ^= 1;
  }
  void count_crossings(const std::vector<const Edge*>& inside) {
    starts_.assign(lines_.count + 1, 0);
    for (const Edge* edge : inside) {
      const int64_t end = lines_.at_or_below(edge->lower.y);
      for (int64_t k = lines_.at_or_below(edge->upper.y); k < end; ++k) ++starts_[k + 1];
    }
    for (int64_t k = 0; k < lines_.count; ++k) starts_[k + 1] += starts_[k];
    crossings_.resize(starts_.back());
  }
  // What lies left of the rectangle comes at its left side, what lies right of it at its right.
  void place_crossings(const std::vector<const Edge*>& inside) {
    std::vector<int64_t> next(starts_.begin(), starts_.end() - 1);
    for (const Edge* edge : inside) {
      const uint32_t ring = slot(*edge);
      const int64_t end = lines_.at_or_below(edge->lower.y);
      for (int64_t k = lines_.at_or_below(edge->upper.y); k < end; ++k)
        crossings_[next[k]++] = {std::clamp(edge->x_at(lines_.y(k)), r_.left, r_.right), ring};
    }
  }

  Rectangle r_;
  ScanLines lines_;
  std::vector<int32_t> active_;   // rings with an edge in the rectangle, ascending
  std::vector<uint8_t> toggles_;  // (active, lines + 1)
  std::vector<int64_t> starts_;   // of each line's crossings, and the end
  std::vector<Crossing> crossings_;
};

}  // namespace

void Coverage::Impl::add(const Shape& shape, bool positive, std::vector<Edge>& edges) {
  const int32_t number = rings.empty() ? 0 : rings.back().shape + 1;
  Extent extent{shape.name.empty() ? "an outline" : "outline '" + shape.name + "'"};
  extent.who += " (" + shape.group + ")";
  const auto add_ring = [&](const Ring& ring, bool hole) {
    for (size_t i = 0; i < ring.size(); ++i) {
      Edge edge{ring[i], ring[(i + 1) % ring.size()], static_cast<int32_t>(rings.size())};
      SS_CHECK(std::isfinite(edge.upper.x) && std::isfinite(edge.upper.y), extent.who);
      extent.add(edge.upper);
      if (edge.upper.y > edge.lower.y) std::swap(edge.upper, edge.lower);
      edges.push_back(edge);
    }
    rings.push_back({number, hole, positive});
  };
  add_ring(shape.outer, false);
  for (const Ring& hole : shape.holes) add_ring(hole, true);
  if (!positive || shape.outer.empty()) return;
  all.add({extent.left, extent.top});
  all.add({extent.right, extent.bottom});
  extents.push_back(std::move(extent));
}

// The rings that have the point inside (even-odd), ascending. Crossings at x itself lie left of it.
std::vector<int32_t> Coverage::Impl::rings_around(double x, double y) const {
  std::vector<int32_t> around;
  index.visit(y, y, just_right_of(x), [&](const Edge& edge) {
    if (edge.crosses(y) && edge.x_at(y) <= x) around.push_back(edge.ring);
    return true;
  });
  keep_odd(around);
  return around;
}

bool Coverage::Impl::is_positive(const std::vector<int32_t>& around) const {
  if (around.empty()) return false;
  Membership point(rings);
  for (const int32_t ring : around) point.expect(ring);
  for (const int32_t ring : around) point.cross(point.slot(ring), rings[ring].hole, true);
  return point.positive();
}

double Coverage::Impl::scan(const Rectangle& r, const ScanLines& lines,
                            const std::vector<const Edge*>& inside) const {
  Scan scan(r, lines, inside);
  index.visit(r.top, r.bottom, just_right_of(r.left), [&](const Edge& edge) {
    if (edge.right() <= r.left && scan.is_active(edge.ring)) scan.pass_left(edge);
    return true;
  });
  scan.settle();

  // A ring without an edge in the rectangle has all of it or nothing of it: one point tells.
  std::vector<int32_t> constant = rings_around(r.left, (r.top + r.bottom) / 2);
  std::erase_if(constant, [&](int32_t ring) { return scan.is_active(ring); });
  std::vector<int32_t> all_rings = constant;
  all_rings.insert(all_rings.end(), scan.active().begin(), scan.active().end());
  std::ranges::sort(all_rings);
  Membership point(rings);
  for (const int32_t ring : all_rings) point.expect(ring);
  for (const int32_t ring : constant) point.cross(point.slot(ring), rings[ring].hole, true);

  struct Active {
    size_t slot;
    bool hole, within;
  };
  std::vector<Active> active;
  for (const int32_t ring : scan.active())
    active.push_back({point.slot(ring), rings[ring].hole, false});

  double length = 0;
  for (int64_t k = 0; k < lines.count; ++k) {
    // From the right end of the line above to the left end of this one.
    for (size_t a = 0; a < active.size(); ++a)
      if (active[a].within != scan.within(a, k)) {
        active[a].within = !active[a].within;
        point.cross(active[a].slot, active[a].hole, active[a].within);
      }
    double x = r.left;
    for (const Crossing& crossing : scan.crossings(k)) {
      if (point.positive()) length += crossing.x - x;
      x = crossing.x;
      Active& ring = active[crossing.slot];
      ring.within = !ring.within;
      point.cross(ring.slot, ring.hole, ring.within);
    }
    if (point.positive()) length += r.right - x;
  }
  return length / (static_cast<double>(lines.count) * (r.right - r.left));
}

Coverage::Coverage(const std::vector<Shape>& shapes, const AnnotationGroups& groups)
    : impl_(std::make_unique<Impl>()) {
  const auto holds = [](const std::vector<std::string>& list, const std::string& name) {
    return std::ranges::find(list, name) != list.end();
  };
  std::vector<Edge> edges;
  for (const Shape& shape : shapes) {
    const bool positive = holds(groups.positive, shape.group);
    if (positive || holds(groups.exclusion, shape.group))
      impl_->add(shape, positive, edges);
    else if (!holds(impl_->unknown, shape.group))
      impl_->unknown.push_back(shape.group);
  }
  impl_->index = EdgeIndex(std::move(edges));
}

Coverage::~Coverage() = default;
Coverage::Coverage(Coverage&&) noexcept = default;
Coverage& Coverage::operator=(Coverage&&) noexcept = default;

double Coverage::covered(double x, double y, double width, double height, int64_t lines) const {
  SS_CHECK(width > 0 && height > 0 && lines > 0, "a rectangle of ", width, " x ", height, ", ",
           lines, " lines");
  const Rectangle r{x, y, x + width, y + height};
  const Extent& all = impl_->all;
  if (r.right <= all.left || r.left >= all.right || r.bottom <= all.top || r.top >= all.bottom)
    return 0;
  std::vector<const Edge*> inside;
  bool crossed = false;
  impl_->index.visit(r.top, r.bottom, r.right, [&](const Edge& edge) {
    if (edge.right() <= r.left || edge.lower.y <= r.top || edge.upper.y >= r.bottom) return true;
    inside.push_back(&edge);
    crossed = crossed || meets(edge, r);
    return true;
  });
  if (!crossed) return impl_->is_positive(impl_->rings_around(x, y + height / 2)) ? 1 : 0;
  const ScanLines scan_lines{y, height / static_cast<double>(lines), lines};
  return std::clamp(impl_->scan(r, scan_lines, inside), 0.0, 1.0);
}

bool Coverage::near_border(double x, double y, double width, double height, double distance) const {
  if (distance <= 0) return false;
  const Rectangle r{x, y, x + width, y + height};
  bool found = false;
  impl_->index.visit(
      r.top - distance, r.bottom + distance, r.right + distance, [&](const Edge& edge) {
        found = edge.right() > r.left - distance && impl_->rings[edge.ring].positive &&
                squared_distance(edge, r) < distance * distance;
        return !found;
      });
  return found;
}

const std::vector<std::string>& Coverage::unknown_groups() const { return impl_->unknown; }
bool Coverage::empty() const { return impl_->extents.empty(); }

std::vector<std::string> Coverage::outside(int64_t width, int64_t height) const {
  const auto w = static_cast<double>(width), h = static_cast<double>(height);
  std::vector<std::string> sentences;
  for (const Extent& e : impl_->extents) {
    if (e.left >= 0 && e.top >= 0 && e.right <= w && e.bottom <= h) continue;
    const bool wholly = e.right <= 0 || e.bottom <= 0 || e.left >= w || e.top >= h;
    sentences.push_back(detail::concatenate(
        e.who, " lies ", wholly ? "wholly" : "in part", " outside of the slide (x ",
        std::llround(e.left), " to ", std::llround(e.right), ", y ", std::llround(e.top), " to ",
        std::llround(e.bottom), "; the slide has ", width, " x ", height, " pixels)"));
  }
  return sentences;
}

}  // namespace stylescope
