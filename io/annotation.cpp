#include "io/annotation.hpp"

#include "io/base/error.hpp"
#include "io/lower_case.hpp"
#include "io/outline.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

constexpr double kFarthest = 1e9;  // pixels; the largest slides have some 10^6

bool same(const Point& a, const Point& b) { return a.x == b.x && a.y == b.y; }

// Not the signed area: that of a bow-tie is nought, though it has two wings.
bool on_one_line(const Ring& ring) {
  const Point& a = ring.front();
  const auto farthest = *std::ranges::max_element(
      ring, {}, [&](const Point& p) { return std::hypot(p.x - a.x, p.y - a.y); });
  const double length = std::hypot(farthest.x - a.x, farthest.y - a.y);
  return std::ranges::all_of(ring, [&](const Point& p) {
    const double cross = (farthest.x - a.x) * (p.y - a.y) - (farthest.y - a.y) * (p.x - a.x);
    return std::abs(cross) <= 1e-9 * length * length;
  });
}

}  // namespace

double outline_coordinate(double value, std::string_view where) {
  validate(std::abs(value) <= kFarthest, where, " has the coordinate ", value,
           " (not a place on a slide: not finite, or beyond ", kFarthest,
           " pixels); correct it or delete the annotation");
  return value;
}

bool tidy_ring(Ring& ring, const std::string& who, std::vector<std::string>& problems) {
  const size_t before = ring.size();
  ring.erase(std::unique(ring.begin(), ring.end(), same), ring.end());
  if (const size_t repeated = before - ring.size(); repeated > 0)
    problems.push_back(who + ": " + std::to_string(repeated) +
                       (repeated == 1 ? " repeated point" : " repeated points") + " taken out");
  while (ring.size() > 1 && same(ring.front(), ring.back())) ring.pop_back();
  if (ring.size() < 3) {
    problems.push_back(who + " has fewer than 3 different points: passed over");
    return false;
  }
  if (on_one_line(ring)) {
    problems.push_back(who + " has no area (all its points lie on one line): passed over");
    return false;
  }
  return true;
}

std::array<int, 3> group_colour(std::string_view group) {
  constexpr std::array<std::array<int, 3>, 8> palette{{{200, 0, 0},
                                                       {0, 130, 200},
                                                       {60, 180, 75},
                                                       {245, 130, 48},
                                                       {145, 30, 180},
                                                       {210, 190, 0},
                                                       {0, 150, 150},
                                                       {240, 50, 230}}};
  if (group == "Tumor") return palette[0];
  uint32_t hash = 2166136261U;  // FNV-1a: std::hash differs between libraries
  for (const char c : group) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return palette[1 + hash % (palette.size() - 1)];
}

AnnotationSet read_annotations(const std::filesystem::path& file) {
  const auto ending = lower_ending(file);
  if (ending == ".xml") return read_asap_xml(file);
  if (ending == ".geojson" || ending == ".json") return read_geojson(file);
  throw Error(file.string() + ": is no annotation file by its ending '" + ending +
              "'; give ASAP's .xml, or .geojson / .json");
}

}  // namespace stylescope
