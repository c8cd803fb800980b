#include "io/annotation.hpp"
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/outline.hpp"

#include <set>
#include <string_view>

#include <nlohmann/json.hpp>

namespace stylescope {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

json parse(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    std::string reason =
        error.what();  // "[json.exception...] parse error at line 3, column 7: ..."
    if (const size_t end = reason.find("] "); end != std::string::npos) reason.erase(0, end + 2);
    throw Error(file.string() + ": is no JSON (" + reason + "); export it as GeoJSON again");
  }
}

// A text member, or nothing; QuPath leaves out what is not set, others write null.
std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// QuPath's class: {"name": "Tumor"}, of several parts {"names": ["Tumor", "Positive"]}, which
// QuPath shows as "Tumor: Positive"; elsewhere also a plain text.
std::string group_of(const json& properties) {
  const auto found = properties.find("classification");
  if (found == properties.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_object()) return "";
  const auto names = found->find("names");
  if (names == found->end() || !names->is_array()) return text_of(*found, "name");
  std::string group;
  for (const json& name : *names)
    if (name.is_string()) group += (group.empty() ? "" : ": ") + name.get<std::string>();
  return group;
}

class GeoJsonReader {
 public:
  explicit GeoJsonReader(std::string file) : file_(std::move(file)) {}

  AnnotationSet read(const json& root) {
    if (root.is_array()) {
      for (const json& member : root) add_feature(member);
    } else if (type_of(root) == "FeatureCollection") {
      const auto features = root.find("features");
      require(features != root.end() && features->is_array(), "the collection",
              "has no list 'features'");
      for (const json& feature : *features) add_feature(feature);
    } else {
      add_feature(root);
    }
    return std::move(set_);
  }

 private:
  void require(bool ok, const std::string& who, const std::string& problem) const {
    validate(ok, file_, ": ", who, " ", problem, "; export it as GeoJSON again");
  }

  std::string type_of(const json& object) const {
    require(object.is_object(), "feature " + std::to_string(number_), "is no JSON object");
    return text_of(object, "type");
  }

  void add_feature(const json& feature) {
    ++number_;
    const bool bare = type_of(feature) != "Feature";
    Shape shape;
    if (const auto properties = feature.find("properties");
        !bare && properties != feature.end() && properties->is_object()) {
      shape.name = text_of(*properties, "name");
      shape.group = group_of(*properties);
    }
    const std::string who =
        "feature " + std::to_string(number_) + (shape.name.empty() ? "" : " '" + shape.name + "'");
    const auto geometry = bare ? feature.end() : feature.find("geometry");
    if (bare)
      add_geometry(feature, shape, who);
    else if (geometry != feature.end() && !geometry->is_null())
      add_geometry(*geometry, shape, who);
    else
      set_.problems.push_back(who + " has no geometry: passed over");
  }

  void add_geometry(const json& geometry, const Shape& like, const std::string& who) {
    static const std::set<std::string, std::less<>> lines_and_points{
        "Point", "MultiPoint", "LineString", "MultiLineString"};
    const std::string type = type_of(geometry);
    if (lines_and_points.contains(type)) {
      set_.problems.push_back(who + " (" + type + ") has no area: passed over");
      return;
    }
    const bool collection = type == "GeometryCollection";
    require(collection || type == "Polygon" || type == "MultiPolygon", who,
            "is of the unknown type '" + type + "'");
    const char* key = collection ? "geometries" : "coordinates";
    const auto parts = geometry.find(key);
    require(parts != geometry.end() && parts->is_array(), who,
            std::string("has no list '") + key + "'");
    if (type == "Polygon") return add_polygon(*parts, like, who + " (Polygon)");
    for (const json& part : *parts)
      collection ? add_geometry(part, like, who) : add_polygon(part, like, who + " (MultiPolygon)");
  }

  void add_polygon(const json& rings, const Shape& like, const std::string& who) {
    require(rings.is_array(), who, "has something other than a list of rings");
    if (rings.empty()) {
      set_.problems.push_back(who + " has no points: passed over");
      return;
    }
    Shape shape = like;
    shape.outer = ring_of(rings[0], who);
    if (!tidy_ring(shape.outer, who, set_.problems)) return;
    for (size_t i = 1; i < rings.size(); ++i) {
      const std::string hole = who + ": hole " + std::to_string(i);
      Ring ring = ring_of(rings[i], hole);
      if (tidy_ring(ring, hole, set_.problems)) shape.holes.push_back(std::move(ring));
    }
    set_.shapes.push_back(std::move(shape));
  }

  Ring ring_of(const json& positions, const std::string& who) const {
    require(positions.is_array(), who, "has a ring that is no list of positions");
    const std::string where = file_ + ": " + who;
    Ring ring;
    ring.reserve(positions.size());
    for (const json& position : positions) {
      require(position.is_array() && position.size() >= 2 && position[0].is_number() &&
                  position[1].is_number(),
              who, "has a position that is no [x, y] of numbers");
      ring.push_back({outline_coordinate(position[0].get<double>(), where),
                      outline_coordinate(position[1].get<double>(), where)});
    }
    return ring;
  }

  std::string file_;
  int64_t number_ = 0;
  AnnotationSet set_;
};

ordered_json ring_json(const Ring& ring) {
  ordered_json positions = ordered_json::array();
  for (const Point& point : ring) positions.push_back({point.x, point.y});
  positions.push_back({ring.front().x, ring.front().y});
  return positions;
}

ordered_json feature_json(const Shape& shape) {
  ordered_json rings = ordered_json::array({ring_json(shape.outer)});
  for (const Ring& hole : shape.holes) rings.push_back(ring_json(hole));
  ordered_json properties{{"objectType", "annotation"}};
  if (!shape.name.empty()) properties["name"] = shape.name;
  if (!shape.group.empty())
    properties["classification"] = {{"name", shape.group}, {"color", group_colour(shape.group)}};
  return {{"type", "Feature"},
          {"geometry", {{"type", "Polygon"}, {"coordinates", std::move(rings)}}},
          {"properties", std::move(properties)}};
}

}  // namespace

AnnotationSet read_geojson(const std::filesystem::path& file) {
  return GeoJsonReader(file.string()).read(parse(file));
}

void write_geojson(const std::filesystem::path& file, const std::vector<Shape>& shapes) {
  ordered_json features = ordered_json::array();
  for (const Shape& shape : shapes) {
    SS_CHECK(!shape.outer.empty());
    features.push_back(feature_json(shape));
  }
  const ordered_json root{{"type", "FeatureCollection"}, {"features", std::move(features)}};
  // A name from elsewhere may be no UTF-8: better a replacement character than no file.
  publish_text(file, root.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace stylescope
