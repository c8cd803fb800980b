#include "io/base/error.hpp"
#include "stages/tile/tissue_mask.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

// Between the mask and its outlines: rings along the edges of the mask's pixels, so that drawing
// the outlines gives the same mask.
namespace stylescope {
namespace {

// Numbers of the pieces (pixels that share an edge) in raster order, -1 elsewhere.
std::vector<int32_t> pieces_of(const TissueMask& mask, int32_t& pieces) {
  std::vector<int32_t> piece(mask.tissue.size(), -1);
  std::vector<int64_t> open;
  pieces = 0;
  for (int64_t i = 0; i < mask.width * mask.height; ++i) {
    const auto visit = [&](int64_t at, bool there) {
      if (!there || !mask.tissue[static_cast<size_t>(at)] || piece[static_cast<size_t>(at)] >= 0)
        return;
      piece[static_cast<size_t>(at)] = pieces;
      open.push_back(at);
    };
    visit(i, true);
    if (open.empty()) continue;
    while (!open.empty()) {
      const int64_t at = open.back(), x = at % mask.width, y = at / mask.width;
      open.pop_back();
      visit(at - 1, x > 0);
      visit(at + 1, x + 1 < mask.width);
      visit(at - mask.width, y > 0);
      visit(at + mask.width, y + 1 < mask.height);
    }
    ++pieces;
  }
  return piece;
}

using Corner = std::pair<int64_t, int64_t>;  // of mask pixels
using Corners = std::vector<Corner>;

// Walks along pixel edges with tissue on the right hand. Where four pixels meet chequered it keeps
// to its own pixel, and a walk that comes by the same corner twice is cut into two rings there: no
// ring touches itself.
class Tracer {
 public:
  explicit Tracer(const TissueMask& mask) : mask_(mask), walked_(mask.tissue.size(), 0) {}

  // Calls `found` with every ring and a tissue pixel beside it.
  template <class Found>
  void trace(const Found& found) {
    for (int64_t y = 0; y < mask_.height; ++y)
      for (int64_t x = 0; x < mask_.width; ++x)
        if (tissue(x, y) && !tissue(x, y - 1) && !walked_[index(x, y)])
          for (auto& ring : walk(x, y)) found(ring, index(x, y));
  }

 private:
  size_t index(int64_t x, int64_t y) const { return static_cast<size_t>(y * mask_.width + x); }
  bool tissue(int64_t x, int64_t y) const {
    return x >= 0 && y >= 0 && x < mask_.width && y < mask_.height && mask_.tissue[index(x, y)];
  }

  // Starts on the upper edge of pixel (x, y), the first such edge of its ring in raster order, so
  // that the ring turns at its beginning.
  std::vector<Corners> walk(int64_t x, int64_t y) {
    static constexpr int kStep[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
    // From a corner, the pixel ahead on the right hand and on the left, by heading.
    static constexpr int kRight[4][2] = {{0, 0}, {-1, 0}, {-1, -1}, {0, -1}};
    static constexpr int kLeft[4][2] = {{0, -1}, {0, 0}, {-1, 0}, {-1, -1}};
    const Corner start{x, y};
    std::vector<Corners> rings;
    Corners path{start};
    std::map<Corner, size_t> touched{{start, 0}};  // chequered corners on the path
    int heading = 0;
    Corner at = start;
    while (true) {
      if (heading == 0) walked_[index(at.first, at.second)] = 1;
      at.first += kStep[heading][0], at.second += kStep[heading][1];
      const bool right = tissue(at.first + kRight[heading][0], at.second + kRight[heading][1]);
      const bool left = tissue(at.first + kLeft[heading][0], at.second + kLeft[heading][1]);
      const int next = !right ? (heading + 1) % 4 : left ? (heading + 3) % 4 : heading;
      if (at == start && next == 0) break;
      if (next != heading) {
        const bool chequered = !right && left;
        const auto before = chequered ? touched.find(at) : touched.end();
        if (before != touched.end()) {
          const auto cut = path.begin() + static_cast<int64_t>(before->second);
          rings.emplace_back(cut, path.end());
          path.erase(cut + 1, path.end());
          std::erase_if(touched, [&](const auto& one) { return one.second >= path.size(); });
        } else {
          if (chequered) touched[at] = path.size();
          path.push_back(at);
        }
      }
      heading = next;
    }
    rings.push_back(std::move(path));
    return rings;
  }

  const TissueMask& mask_;
  std::vector<uint8_t> walked_;  // upper edges
};

bool is_outer(const Corners& ring) {
  int64_t twice_area = 0;
  for (size_t i = 0; i < ring.size(); ++i) {
    const auto& a = ring[i];
    const auto& b = ring[(i + 1) % ring.size()];
    twice_area += a.first * b.second - b.first * a.second;
  }
  return twice_area > 0;
}

// Where a ring crosses the middles of the mask's rows, in mask pixels.
void add_crossings(const Ring& ring, const TissueMask& mask,
                   std::vector<std::vector<double>>& rows) {
  for (size_t i = 0; i < ring.size(); ++i) {
    Point a = ring[i], b = ring[(i + 1) % ring.size()];
    if (a.y > b.y) std::swap(a, b);
    const double top = a.y / mask.scale_y, bottom = b.y / mask.scale_y;
    const auto first = static_cast<int64_t>(
        std::clamp(std::ceil(top - 0.5), 0.0, static_cast<double>(mask.height)));
    for (int64_t y = first; y < mask.height && static_cast<double>(y) + 0.5 < bottom; ++y) {
      const double along = (static_cast<double>(y) + 0.5 - top) / (bottom - top);
      rows[static_cast<size_t>(y)].push_back((a.x + along * (b.x - a.x)) / mask.scale_x);
    }
  }
}

}  // namespace

std::vector<Shape> outlines_of(const TissueMask& mask) {
  int32_t pieces = 0;
  const auto piece = pieces_of(mask, pieces);
  std::vector<Shape> shapes(static_cast<size_t>(pieces));
  Tracer(mask).trace([&](const Corners& corners, size_t pixel) {
    Ring ring;
    for (const auto& corner : corners)
      ring.push_back({static_cast<double>(corner.first) * mask.scale_x,
                      static_cast<double>(corner.second) * mask.scale_y});
    auto& shape = shapes[static_cast<size_t>(piece[pixel])];
    shape.group = "Tissue";
    if (is_outer(corners)) {
      SS_CHECK(shape.outer.empty(), "a piece has two outer rings");
      shape.outer = std::move(ring);
    } else {
      shape.holes.push_back(std::move(ring));
    }
  });
  return shapes;
}

void replace_tissue(TissueMask& mask, const std::vector<Shape>& shapes) {
  mask.tissue.assign(static_cast<size_t>(mask.width * mask.height), 0);
  for (const auto& shape : shapes) {
    std::vector<std::vector<double>> rows(static_cast<size_t>(mask.height));
    add_crossings(shape.outer, mask, rows);
    for (const auto& hole : shape.holes) add_crossings(hole, mask, rows);
    for (int64_t y = 0; y < mask.height; ++y) {
      auto& row = rows[static_cast<size_t>(y)];
      std::ranges::sort(row);
      const auto pixel = [&](double x) {  // the first whose middle is not left of x
        return static_cast<int64_t>(
            std::clamp(std::ceil(x - 0.5), 0.0, static_cast<double>(mask.width)));
      };
      for (size_t i = 0; i + 1 < row.size(); i += 2)
        for (int64_t x = pixel(row[i]); x < pixel(row[i + 1]); ++x)
          mask.tissue[static_cast<size_t>(y * mask.width + x)] = 1;
    }
  }
}

}  // namespace stylescope
