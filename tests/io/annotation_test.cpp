#include "io/annotation.hpp"

#include "tests/io/faults.hpp"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::real_data;
using testing_support::TempDir;

double area(const Ring& ring) {
  double sum = 0;
  for (size_t i = 0; i < ring.size(); ++i) {
    const Point& b = ring[(i + 1) % ring.size()];
    sum += ring[i].x * b.y - b.x * ring[i].y;
  }
  return std::abs(sum) / 2;
}

void expect_ring(const Ring& ring, const Ring& expected) {
  ASSERT_EQ(ring.size(), expected.size());
  for (size_t i = 0; i < ring.size(); ++i) {
    EXPECT_EQ(ring[i].x, expected[i].x) << i;
    EXPECT_EQ(ring[i].y, expected[i].y) << i;
  }
}

std::string asap(const std::string& annotations) {
  return "<?xml version=\"1.0\"?>\n<ASAP_Annotations>\n<Annotations>\n" + annotations +
         "</Annotations>\n<AnnotationGroups/>\n</ASAP_Annotations>\n";
}
std::string annotation(const std::string& type, const std::string& group,
                       const std::vector<std::pair<std::string, std::string>>& points) {
  std::string text = "<Annotation Name=\"A\" Type=\"" + type + "\" PartOfGroup=\"" + group +
                     "\" Color=\"#F4FA58\">\n<Coordinates>\n";
  int order = 0;
  for (const auto& [x, y] : points)
    text += "<Coordinate Order=\"" + std::to_string(order++) + "\" X=\"" + x + "\" Y=\"" + y +
            "\" />\n";
  return text + "</Coordinates>\n</Annotation>\n";
}

class AnnotationFile : public testing::Test {
 protected:
  AnnotationSet read(const std::string& content, const std::string& name = "a.xml") {
    overwrite(dir_ / name, content);
    return read_annotations(dir_ / name);
  }
  void expect_error(const std::string& content, const std::string& name,
                    const std::vector<std::string>& parts) {
    expect_sentence(error_of([&] { read(content, name); }), dir_ / name, parts);
  }
  TempDir dir_;
};

TEST_F(AnnotationFile, AsapPolygonsAndRectangles) {
  const auto set =
      read(asap(annotation("Polygon", "_0", {{"1.5", "2"}, {"1.1e1", "2"}, {"11", "12.25"}}) +
                annotation("Rectangle", "None", {{"0", "0"}, {"4", "0"}, {"4", "3"}, {"0", "3"}})));
  ASSERT_EQ(set.shapes.size(), 2U);
  EXPECT_TRUE(set.problems.empty());
  EXPECT_EQ(set.shapes[0].group, "_0");
  EXPECT_EQ(set.shapes[0].name, "A");
  expect_ring(set.shapes[0].outer, {{1.5, 2}, {11, 2}, {11, 12.25}});
  EXPECT_EQ(set.shapes[1].group, "None");
  EXPECT_EQ(area(set.shapes[1].outer), 12);
}

TEST_F(AnnotationFile, AsapDecimalsMayHaveCommas) {
  const auto set =
      read(asap(annotation("Polygon", "Tumor", {{"1,5", " 2,25 "}, {"9,5", "2"}, {"9", "8"}})));
  expect_ring(set.shapes.at(0).outer, {{1.5, 2.25}, {9.5, 2}, {9, 8}});
}

TEST_F(AnnotationFile, AsapPointsAreSortedByOrder) {
  std::string text =
      annotation("Polygon", "Tumor", {{"0", "0"}, {"5", "0"}, {"5", "5"}, {"0", "5"}});
  for (const auto& [from, to] :
       {std::pair{"Order=\"1\"", "Order=\"x\""}, std::pair{"Order=\"3\"", "Order=\"1\""},
        std::pair{"Order=\"x\"", "Order=\"3\""}})
    text.replace(text.find(from), std::string(from).size(), to);
  expect_ring(read(asap(text)).shapes.at(0).outer, {{0, 0}, {0, 5}, {5, 5}, {5, 0}});
  // Without Order, the file's own.
  while (text.find("Order=") != std::string::npos) text.erase(text.find("Order="), 9);
  expect_ring(read(asap(text)).shapes.at(0).outer, {{0, 0}, {5, 0}, {5, 5}, {0, 5}});
}

TEST_F(AnnotationFile, AsapSplineOfACircleIsRound) {
  constexpr double kRadius = 500;
  std::vector<std::pair<std::string, std::string>> points;
  for (int i = 0; i < 16; ++i) {
    const double angle = 2 * std::numbers::pi * i / 16;
    points.emplace_back(std::to_string(1000 + kRadius * std::cos(angle)),
                        std::to_string(1000 + kRadius * std::sin(angle)));
  }
  const auto set = read(asap(annotation("Spline", "Tumor", points)));
  const Ring& ring = set.shapes.at(0).outer;
  EXPECT_GT(ring.size(), 48U);
  const double circle = std::numbers::pi * kRadius * kRadius;
  EXPECT_NEAR(area(ring) / circle, 1, 0.004);
  EXPECT_LT(area(read(asap(annotation("Polygon", "Tumor", points))).shapes.at(0).outer) / circle,
            0.98);
  // It goes through its points, and is rounder than a polygon (9.6 off in the middle of a side)
  // also in the two sides at the last point, where ASAP draws it flatter.
  int met = 0;
  for (const Point& p : ring) {
    const double radius = std::hypot(p.x - 1000, p.y - 1000);
    met += std::abs(radius - kRadius) < 1e-3 ? 1 : 0;
    const double turn = std::atan2(p.y - 1000, p.x - 1000) / (2 * std::numbers::pi) * 16;
    EXPECT_NEAR(radius, kRadius, turn > -2 && turn < 0 ? 6 : 0.3);
  }
  EXPECT_GE(met, 16);
  for (size_t i = 0; i < ring.size(); ++i) {
    const Point& a = ring[i];
    const Point& b = ring[(i + 1) % ring.size()];
    const double half = std::hypot(a.x - b.x, a.y - b.y) / 2;
    EXPECT_LT(kRadius - std::sqrt(kRadius * kRadius - half * half), 0.3) << "a chord too long";
  }
}

TEST_F(AnnotationFile, WhatHasNoAreaIsNamed) {
  const auto set = read(asap(
      annotation("Dot", "Tumor", {{"1", "2"}}) + annotation("PointSet", "Tumor", {{"1", "2"}}) +
      annotation("Measurement", "Tumor", {{"1", "2"}, {"4", "2"}}) +
      annotation("Polygon", "Tumor", {{"1", "2"}, {"4", "2"}, {"1", "2"}}) +
      annotation("Polygon", "Tumor", {}) +
      annotation("Polygon", "Tumor", {{"1", "1"}, {"3", "3"}, {"7", "7"}, {"2", "2"}})));
  EXPECT_TRUE(set.shapes.empty());
  ASSERT_EQ(set.problems.size(), 6U);
  EXPECT_EQ(set.problems[0], "annotation 'A' (Dot) has no area: passed over");
  EXPECT_NE(set.problems[1].find("PointSet"), std::string::npos);
  EXPECT_NE(set.problems[3].find("fewer than 3"), std::string::npos);
  EXPECT_NE(set.problems[5].find("one line"), std::string::npos);
}

TEST_F(AnnotationFile, RepeatedAndClosingPointsAreTakenOut) {
  const auto set = read(asap(annotation(
      "Polygon", "Tumor",
      {{"0", "0"}, {"0", "0"}, {"5", "0"}, {"5", "5"}, {"5", "5"}, {"0", "5"}, {"0", "0"}})));
  expect_ring(set.shapes.at(0).outer, {{0, 0}, {5, 0}, {5, 5}, {0, 5}});
  ASSERT_EQ(set.problems.size(), 1U);
  EXPECT_NE(set.problems[0].find("2 repeated points"), std::string::npos);
  // A bow-tie's signed area is nought, and yet it has one.
  EXPECT_EQ(
      read(asap(annotation("Polygon", "Tumor", {{"0", "0"}, {"4", "4"}, {"4", "0"}, {"0", "4"}})))
          .shapes.size(),
      1U);
}

TEST_F(AnnotationFile, AsapFaultsGetASentence) {
  const auto polygon = [](const std::string& x) {
    return asap(annotation("Polygon", "Tumor", {{"1", "2"}, {"4", "2"}, {x, "7"}}));
  };
  expect_error(polygon("nan"), "a.xml", {"line 8", "annotation 'A' (Polygon)", "nan", "correct"});
  expect_error(polygon("-inf"), "a.xml", {"line 8", "inf"});
  expect_error(polygon("1e12"), "a.xml", {"line 8", "1e+12"});
  expect_error(polygon("1e999"), "a.xml", {"line 8", "inf"});
  expect_error(polygon("1.234,5"), "a.xml", {"line 8", "X is '1.234,5'", "no number"});
  expect_error(polygon(""), "a.xml", {"line 8", "X is ''"});
  expect_error("<?xml version=\"1.0\"?>\n<ASAP_Annotations>\n<Annotations>\n</Annot>\n", "a.xml",
               {"line 4", "no well-formed XML"});
  expect_error("", "a.xml", {"no well-formed XML"});
  expect_error("<Annotations MicronsPerPixel=\"0.5\"><Annotation/></Annotations>", "a.xml",
               {"line 1", "<Annotations>", "ASAP"});
  expect_error("\n<ASAP_Annotations/>", "a.xml", {"line 2", "no <Annotations>"});
  expect_error("x", "a.csv", {"'.csv'", ".geojson"});
  expect_sentence(error_of([&] { read_annotations(dir_ / "no.xml"); }), dir_ / "no.xml",
                  {"No such file"});
}

TEST_F(AnnotationFile, RealCamelyonOutlines) {
  if (real_data().empty())
    GTEST_SKIP() << "no folder of real data: set STYLESCOPE_DATA to try real outlines";
  size_t files = 0, shapes = 0;
  std::map<std::string, int> groups;
  for (const auto& entry : std::filesystem::directory_iterator(real_data() / "annotations")) {
    if (entry.path().extension() != ".xml") continue;
    ++files;
    const auto set = read_annotations(entry.path());
    shapes += set.shapes.size();
    for (const auto& shape : set.shapes) {
      ++groups[shape.group];
      EXPECT_GT(area(shape.outer), 100) << entry.path();
    }
    // There and back, through both formats.
    write_asap_xml(dir_ / "b.xml", set.shapes);
    write_geojson(dir_ / "b.geojson", set.shapes);
    for (const char* name : {"b.xml", "b.geojson"}) {
      const auto again = read_annotations(dir_ / name);
      ASSERT_EQ(again.shapes.size(), set.shapes.size()) << name;
      for (size_t i = 0; i < set.shapes.size(); ++i) {
        expect_ring(again.shapes[i].outer, set.shapes[i].outer);
        EXPECT_EQ(again.shapes[i].name, set.shapes[i].name);
        EXPECT_EQ(again.shapes[i].group, set.shapes[i].group);
      }
    }
  }
  EXPECT_GT(files, 0U);
  EXPECT_GT(shapes, files);
  EXPECT_GT(groups["Tumor"], 0);
}

Shape holed() {
  return {{{0, 0}, {10.1, 0}, {10.1, 10}, {0, 10}},
          {{{2, 2}, {4, 2}, {4, 4}, {2, 4}}, {{6, 6}, {6, 8}, {8, 8}, {8, 6}}},
          "a \"name\" <ä>",
          "Tumor: Positive"};
}

TEST_F(AnnotationFile, GeoJsonRoundTripKeepsGroupsNamesAndHoles) {
  const Shape plain{{{1e5 / 3, 0.1}, {70000.25, 0}, {5, 9}}, {}, "", ""};
  write_geojson(dir_ / "r.geojson", {holed(), plain});
  const auto set = read_annotations(dir_ / "r.geojson");
  EXPECT_TRUE(set.problems.empty());
  ASSERT_EQ(set.shapes.size(), 2U);
  expect_ring(set.shapes[0].outer, holed().outer);
  ASSERT_EQ(set.shapes[0].holes.size(), 2U);
  for (size_t i = 0; i < 2; ++i) expect_ring(set.shapes[0].holes[i], holed().holes[i]);
  EXPECT_EQ(set.shapes[0].name, holed().name);
  EXPECT_EQ(set.shapes[0].group, holed().group);
  expect_ring(set.shapes[1].outer, plain.outer);
  EXPECT_EQ(set.shapes[1].name + set.shapes[1].group, "");
}

TEST_F(AnnotationFile, GeoJsonIsAsQuPathReadsIt) {
  write_geojson(dir_ / "q.geojson", {holed()});
  const auto root = nlohmann::json::parse(read_text(dir_ / "q.geojson"));
  EXPECT_EQ(root["type"], "FeatureCollection");
  const auto& feature = root["features"].at(0);
  EXPECT_EQ(feature["type"], "Feature");
  EXPECT_EQ(feature["properties"]["objectType"], "annotation");
  EXPECT_EQ(feature["properties"]["name"], holed().name);
  EXPECT_EQ(feature["properties"]["classification"]["name"], "Tumor: Positive");
  EXPECT_EQ(feature["properties"]["classification"]["color"].size(), 3U);
  EXPECT_EQ(feature["geometry"]["type"], "Polygon");
  const auto& rings = feature["geometry"]["coordinates"];
  ASSERT_EQ(rings.size(), 3U);
  for (const auto& ring : rings) EXPECT_EQ(ring.front(), ring.back());  // GeoJSON closes its rings
}

TEST_F(AnnotationFile, AsapRoundTripKeepsTheAreaOfHoles) {
  const Shape shape = holed();
  write_asap_xml(dir_ / "h.xml", {shape});
  const auto set = read_annotations(dir_ / "h.xml");
  ASSERT_EQ(set.shapes.size(), 1U);
  EXPECT_EQ(set.shapes[0].name, shape.name);
  EXPECT_EQ(set.shapes[0].group, shape.group);
  // The holes turn against the outline, so that they count as such by signed area, too.
  EXPECT_NEAR(area(set.shapes[0].outer), 101 - 4 - 4, 1e-9);
  // ASAP refuses files with a group that is not listed.
  const std::string text = read_text(dir_ / "h.xml");
  EXPECT_NE(text.find("<Group Name=\"Tumor: Positive\" PartOfGroup=\"None\""), std::string::npos)
      << text;
}

TEST_F(AnnotationFile, GeoJsonOfOtherShapes) {
  const std::string square = "[[[0,0],[4,0],[4,4],[0,4],[0,0]]]";
  const std::string polygon = R"({"type":"Polygon","coordinates":)" + square + "}";
  EXPECT_EQ(area(read(polygon, "g.json").shapes.at(0).outer), 16);
  EXPECT_EQ(read(R"({"type":"Feature","geometry":)" + polygon + "}", "g.json").shapes.size(), 1U);

  // QuPath exports several objects as an array; older ones carry colorRGB.
  const auto list = read(
      R"([{"type":"Feature","id":"PathAnnotationObject","geometry":)" + polygon +
          R"(,"properties":{"classification":{"name":"Tumor","colorRGB":-3670016},"isLocked":true,
             "measurements":[]}},
            {"type":"Feature","geometry":{"type":"MultiPolygon","coordinates":[)" +
          square + "," + square + R"(]},"properties":{"name":"m","classification":"Stroma"}},
            {"type":"Feature","geometry":)" +
          polygon + R"(,"properties":{"name":null,"classification":{"names":["A","B"]}}}])",
      "g.geojson");
  ASSERT_EQ(list.shapes.size(), 4U);
  EXPECT_EQ(list.shapes[0].group, "Tumor");
  EXPECT_EQ(list.shapes[1].group, "Stroma");
  EXPECT_EQ(list.shapes[2].name, "m");
  EXPECT_EQ(list.shapes[3].group, "A: B");

  const auto passed = read(
      R"({"type":"FeatureCollection","features":[
        {"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"properties":{"name":"p"}},
        {"type":"Feature","geometry":null,"properties":null},
        {"type":"Feature","geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]}},
        {"type":"Feature","geometry":{"type":"Polygon","coordinates":[]}},
        {"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[0,0],[1,1],[0,0]]]}},
        {"type":"Feature","geometry":{"type":"GeometryCollection","geometries":[)" +
          polygon + R"(,{"type":"MultiPoint","coordinates":[[1,2]]}]}}]})",
      "g.geojson");
  EXPECT_EQ(passed.shapes.size(), 1U);
  ASSERT_EQ(passed.problems.size(), 6U);
  EXPECT_EQ(passed.problems[0], "feature 1 'p' (Point) has no area: passed over");
  EXPECT_EQ(passed.problems[1], "feature 2 has no geometry: passed over");
  EXPECT_NE(passed.problems[4].find("fewer than 3"), std::string::npos);
}

TEST_F(AnnotationFile, GeoJsonFaultsGetASentence) {
  expect_error("{\n\"type\": \"Polygon\",\n\"coordinates\": [[[0, NaN]]]}", "f.geojson",
               {"line 3", "no JSON"});
  expect_error("", "f.geojson", {"no JSON"});
  const auto polygon = [](const std::string& ring) {
    return R"([{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1]]]},)"
           R"({"type":"Feature","properties":{"name":"n"},)"
           R"("geometry":{"type":"Polygon","coordinates":)" +
           ring + "}}]";
  };
  expect_error(polygon("[[[0,0],[1e10,0],[0,1]]]"), "f.json", {"feature 2 'n'", "1e+10"});
  expect_error(polygon("[[[0,0],[1e999,0],[0,1]]]"), "f.json", {"1e999"});
  expect_error(polygon("[[[0,0],[null,0],[0,1]]]"), "f.json", {"feature 2 'n'", "[x, y]"});
  expect_error(polygon("[[[0,0],[1],[0,1]]]"), "f.json", {"feature 2 'n'", "[x, y]"});
  expect_error(polygon("[5]"), "f.json", {"feature 2 'n'", "ring"});
  expect_error(polygon("7"), "f.json", {"feature 2 'n'", "no list 'coordinates'"});
  expect_error(R"({"type":"Feature","geometry":{"type":"Circle"}})", "f.json",
               {"feature 1", "'Circle'"});
  expect_error(R"({"type":"FeatureCollection"})", "f.json", {"'features'"});
  expect_error("[3]", "f.json", {"feature 1", "no JSON object"});
}

}  // namespace
}  // namespace stylescope
