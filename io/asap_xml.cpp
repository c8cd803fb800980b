#include "io/annotation.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/outline.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <iterator>
#include <numeric>
#include <pugixml.hpp>
#include <set>
#include <sstream>
#include <string_view>

namespace stylescope {
namespace {

constexpr double kFlatness = 0.25;  // pixels between a spline and its polygon

// A file while it is read: says where in it something is wrong.
class AsapFile {
 public:
  explicit AsapFile(const std::filesystem::path& file)
      : name_(file.string()), text_(read_text(file)) {
    const auto parsed = document_.load_buffer(text_.data(), text_.size());
    validate(parsed, name_, ": line ", line(parsed.offset), ": is no well-formed XML (",
             parsed.description(), "); save it from ASAP again");
  }
  // "file: line 7".
  std::string place(const pugi::xml_node& node) const {
    return name_ + ": line " + std::to_string(line(node.offset_debug()));
  }
  pugi::xml_node annotations() const {
    const pugi::xml_node root = document_.document_element();
    validate(std::string_view(root.name()) == "ASAP_Annotations", place(root), ": holds <",
             root.name(), ">, not ASAP's <ASAP_Annotations>; give an annotation file of ASAP, ",
             "or GeoJSON");
    const pugi::xml_node list = root.child("Annotations");
    validate(list, place(root), ": has no <Annotations>; save it from ASAP again");
    return list;
  }

 private:
  ptrdiff_t line(ptrdiff_t offset) const {
    const auto end = text_.begin() + std::clamp<ptrdiff_t>(offset, 0, std::ssize(text_));
    return 1 + std::count(text_.begin(), end, '\n');
  }

  std::string name_;
  std::string text_;
  pugi::xml_document document_;
};

// Decimals with a point or, as ASAP writes them under some locales, a comma.
double number(const pugi::xml_node& node, const char* attribute, const AsapFile& file,
              const std::string& who) {
  std::string text = node.attribute(attribute).value();
  const auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  std::erase_if(text, space);
  if (text.find('.') == std::string::npos) std::ranges::replace(text, ',', '.');
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  validate(problem != std::errc::invalid_argument && stop == end, file.place(node), ": ", who, ": ",
           attribute, " is '", node.attribute(attribute).value(),
           "', which is no number; correct it or delete the annotation");
  if (problem == std::errc::result_out_of_range) value = HUGE_VAL;
  return outline_coordinate(value, file.place(node) + ": " + who);
}

Ring read_points(const pugi::xml_node& annotation, const AsapFile& file, const std::string& who) {
  Ring points;
  std::vector<double> order;
  for (const pugi::xml_node& point : annotation.child("Coordinates").children("Coordinate")) {
    points.push_back({number(point, "X", file, who), number(point, "Y", file, who)});
    if (point.attribute("Order")) order.push_back(number(point, "Order", file, who));
  }
  // Where some have no Order, the file's own is all there is.
  if (order.size() != points.size() || std::ranges::is_sorted(order)) return points;
  std::vector<size_t> rank(points.size());
  std::iota(rank.begin(), rank.end(), size_t{0});
  std::ranges::stable_sort(rank, {}, [&](size_t i) { return order[i]; });
  Ring sorted;
  for (const size_t i : rank) sorted.push_back(points[i]);
  return sorted;
}

Point operator+(const Point& a, const Point& b) { return {a.x + b.x, a.y + b.y}; }
Point operator-(const Point& a, const Point& b) { return {a.x - b.x, a.y - b.y}; }
Point operator*(double s, const Point& p) { return {s * p.x, s * p.y}; }
double length(const Point& p) { return std::hypot(p.x, p.y); }

// Appends the curve from `start` to `end` (without `end`) as a polygon.
void append_flat(Ring& ring, const Point& start, const Point& c1, const Point& c2,
                 const Point& end) {
  // Chord error of n equal steps <= max |B''| / (8 n^2), and |B''| <= 6 times either of these.
  const double bend = std::max(length(start - 2 * c1 + c2), length(c1 - 2 * c2 + end));
  const auto steps =
      std::max<int64_t>(1, static_cast<int64_t>(std::ceil(std::sqrt(0.75 * bend / kFlatness))));
  for (int64_t i = 0; i < steps; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(steps), u = 1 - t;
    ring.push_back(u * u * u * start + 3 * u * u * t * c1 + 3 * u * t * t * c2 + t * t * t * end);
  }
}

// ASAP draws centripetal Catmull-Rom curves (as Bezier pieces: Yuksel, Schaefer and Keyser 2011,
// "Parameterization and applications of Catmull-Rom curves"). At the last point it does not look
// past the end of the list but mirrors the neighbour: what its user saw and approved.
Ring flatten_spline(const Ring& points) {
  const size_t count = points.size();
  Ring ring;
  for (size_t i = 0; i < count; ++i) {
    const Point& p1 = points[i];
    const Point& p2 = points[(i + 1) % count];
    const Point p0 = i + 1 == count ? 2 * p1 - p2 : points[(i + count - 1) % count];
    const Point p3 = i + 2 == count ? 2 * p2 - p1 : points[(i + 2) % count];
    const double d1 = length(p1 - p0), d2 = length(p2 - p1), d3 = length(p3 - p2);
    const double r1 = std::sqrt(d1), r2 = std::sqrt(d2), r3 = std::sqrt(d3);
    const Point c1 =
        (1 / (3 * r1 * (r1 + r2))) * (d1 * p2 - d2 * p0 + (2 * d1 + 3 * r1 * r2 + d2) * p1);
    const Point c2 =
        (1 / (3 * r3 * (r3 + r2))) * (d3 * p1 - d2 * p3 + (2 * d3 + 3 * r3 * r2 + d2) * p2);
    append_flat(ring, p1, c1, c2, p2);
  }
  return ring;
}

std::string shortest(double value) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::string colour_text(std::string_view group) {
  std::string text = "#";
  for (const int part : group_colour(group))
    for (const int digit : {part / 16, part % 16}) text += "0123456789ABCDEF"[digit];
  return text;
}

double doubled_area(const Ring& ring) {
  double sum = 0;
  for (size_t i = 0; i < ring.size(); ++i) {
    const Point& a = ring[i];
    const Point& b = ring[(i + 1) % ring.size()];
    sum += a.x * b.y - b.x * a.y;
  }
  return sum;
}

// One ring of the same area: ASAP knows no holes, so a path leads to each and back on itself.
// The holes turn against the outline, for ASAP's own masks are made by winding number.
Ring with_bridges(const Shape& shape) {
  Ring ring = shape.outer;
  for (const Ring& hole : shape.holes) {
    ring.push_back(shape.outer.front());
    const bool reverse = (doubled_area(hole) > 0) == (doubled_area(shape.outer) > 0);
    if (reverse)
      ring.insert(ring.end(), hole.rbegin(), hole.rend());
    else
      ring.insert(ring.end(), hole.begin(), hole.end());
    ring.push_back(reverse ? hole.back() : hole.front());
  }
  return ring;
}

void append_annotation(pugi::xml_node list, const Shape& shape) {
  pugi::xml_node annotation = list.append_child("Annotation");
  annotation.append_attribute("Name") = shape.name.c_str();
  annotation.append_attribute("Type") = "Polygon";
  annotation.append_attribute("PartOfGroup") = shape.group.empty() ? "None" : shape.group.c_str();
  annotation.append_attribute("Color") = colour_text(shape.group).c_str();
  pugi::xml_node coordinates = annotation.append_child("Coordinates");
  unsigned order = 0;
  for (const Point& point : with_bridges(shape)) {
    pugi::xml_node coordinate = coordinates.append_child("Coordinate");
    coordinate.append_attribute("Order") = order++;
    coordinate.append_attribute("X") = shortest(point.x).c_str();
    coordinate.append_attribute("Y") = shortest(point.y).c_str();
  }
}

}  // namespace

AnnotationSet read_asap_xml(const std::filesystem::path& path) {
  const AsapFile file(path);
  AnnotationSet set;
  for (const pugi::xml_node& annotation : file.annotations().children("Annotation")) {
    const std::string type = annotation.attribute("Type").value();
    Shape shape;
    shape.name = annotation.attribute("Name").value();
    shape.group = annotation.attribute("PartOfGroup").value();
    const std::string who = "annotation '" + shape.name + "' (" + type + ")";
    if (type != "Polygon" && type != "Rectangle" && type != "Spline") {
      set.problems.push_back(who + " has no area: passed over");
      continue;
    }
    shape.outer = read_points(annotation, file, who);
    if (!tidy_ring(shape.outer, who, set.problems)) continue;
    if (type == "Spline") shape.outer = flatten_spline(shape.outer);
    set.shapes.push_back(std::move(shape));
  }
  return set;
}

void write_asap_xml(const std::filesystem::path& file, const std::vector<Shape>& shapes) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("ASAP_Annotations");
  pugi::xml_node annotations = root.append_child("Annotations");
  pugi::xml_node groups = root.append_child("AnnotationGroups");
  std::set<std::string> known{"", "None"};
  for (const Shape& shape : shapes) {
    append_annotation(annotations, shape);
    // ASAP opens no file with a group that is not listed.
    if (!known.insert(shape.group).second) continue;
    pugi::xml_node group = groups.append_child("Group");
    group.append_attribute("Name") = shape.group.c_str();
    group.append_attribute("PartOfGroup") = "None";
    group.append_attribute("Color") = colour_text(shape.group).c_str();
    group.append_child("Attributes");
  }
  std::ostringstream text;
  document.save(text, "\t");
  publish_text(file, text.str());
}

}  // namespace stylescope
