#pragma once

#include <filesystem>
#include <string>
#include <vector>

// Outlines drawn on a slide, in level 0 pixels (continuous: a pixel (i, j) covers [i, i+1) x [j,
// j+1)).
namespace stylescope {

struct Point {
  double x = 0, y = 0;
};
using Ring = std::vector<Point>;  // closed by itself: the last point is not the first again

struct Shape {
  Ring outer;
  std::vector<Ring> holes;  // GeoJSON only; ASAP has none
  std::string name;
  std::string group;  // ASAP: PartOfGroup; GeoJSON: properties.classification.name
};

struct AnnotationSet {
  std::vector<Shape> shapes;
  // What was passed over or mended, a sentence each: "annotation 'x' (Dot) has no area: passed
  // over".
  std::vector<std::string> problems;
};

// ASAP's XML: Polygon, Rectangle, Spline (a closed Catmull-Rom curve through its points, as ASAP
// draws it, flattened to within a quarter of a pixel); Dot, PointSet and Measurement have no area
// and are named as passed over, as are outlines of fewer than 3 points. Coordinates are sorted by
// Order; decimals with a point or a comma. Throws Error: file, line, what is wrong.
AnnotationSet read_asap_xml(const std::filesystem::path& file);
void write_asap_xml(const std::filesystem::path& file, const std::vector<Shape>& shapes);

// GeoJSON as QuPath writes and reads it: FeatureCollection, Feature, bare geometry or array of
// features; Polygon and MultiPolygon with holes; Point, LineString and so on are named as passed
// over. Throws Error likewise.
AnnotationSet read_geojson(const std::filesystem::path& file);
void write_geojson(const std::filesystem::path& file, const std::vector<Shape>& shapes);

// By ending: .xml or .geojson / .json.
AnnotationSet read_annotations(const std::filesystem::path& file);

}  // namespace stylescope
