#include "stages/tile/coverage.hpp"

#include "tests/io/faults.hpp"

#include <cmath>
#include <numbers>
#include <random>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::real_data;

const AnnotationGroups kCamelyon{{"Tumor", "_0", "_1"}, {"_2", "Exclusion", "None"}};

Ring rectangle(double left, double top, double right, double bottom) {
  return {{left, top}, {right, top}, {right, bottom}, {left, bottom}};
}
Shape shape(Ring outer, const std::string& group = "Tumor", std::vector<Ring> holes = {}) {
  return {std::move(outer), std::move(holes), "s", group};
}

double area(const Ring& ring) {
  double sum = 0;
  for (size_t i = 0; i < ring.size(); ++i) {
    const Point& b = ring[(i + 1) % ring.size()];
    sum += ring[i].x * b.y - b.x * ring[i].y;
  }
  return std::abs(sum) / 2;
}

struct Box {
  double left = 1e18, top = 1e18, right = -1e18, bottom = -1e18;
};
Box box_of(const Ring& ring) {
  Box box;
  for (const Point& p : ring) {
    box.left = std::min(box.left, p.x), box.right = std::max(box.right, p.x);
    box.top = std::min(box.top, p.y), box.bottom = std::max(box.bottom, p.y);
  }
  return box;
}

// The rule of the header, word for word, for one point.
bool within(const Ring& ring, double x, double y) {
  bool in = false;
  for (size_t i = 0; i < ring.size(); ++i) {
    const Point& a = ring[i];
    const Point& b = ring[(i + 1) % ring.size()];
    if ((a.y > y) != (b.y > y) && x < a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x)) in = !in;
  }
  return in;
}
bool positive(const std::vector<Shape>& shapes, double x, double y) {
  bool in = false, out = false;
  for (const Shape& s : shapes) {
    bool here = within(s.outer, x, y);
    for (const Ring& hole : s.holes) here = here && !within(hole, x, y);
    (s.group == "Tumor" ? in : out) |= here;
  }
  return in && !out;
}
double sampled(const std::vector<Shape>& shapes, double x, double y, double width, double height,
               int side) {
  int64_t hits = 0;
  for (int row = 0; row < side; ++row)
    for (int column = 0; column < side; ++column)
      hits += positive(shapes, x + (column + 0.5) * width / side, y + (row + 0.5) * height / side);
  return static_cast<double>(hits) / side / side;
}

double outline_distance(const Ring& ring, double x, double y, double width, double height) {
  // Many points of the outline against the rectangle: an upper bound, near the truth.
  double least = 1e18;
  for (size_t i = 0; i < ring.size(); ++i)
    for (int k = 0; k <= 400; ++k) {
      const Point& b = ring[(i + 1) % ring.size()];
      const double px = ring[i].x + k / 400.0 * (b.x - ring[i].x);
      const double py = ring[i].y + k / 400.0 * (b.y - ring[i].y);
      least = std::min(least, std::hypot(std::max({x - px, 0.0, px - x - width}),
                                         std::max({y - py, 0.0, py - y - height})));
    }
  return least;
}

TEST(Coverage, SquaresAreExact) {
  const Coverage coverage({shape(rectangle(100, 100, 300, 300))}, kCamelyon);
  EXPECT_EQ(coverage.covered(150, 150, 50, 50), 1);
  EXPECT_EQ(coverage.covered(100, 100, 200, 200), 1);
  EXPECT_EQ(coverage.covered(400, 150, 50, 50), 0);
  EXPECT_EQ(coverage.covered(300, 100, 50, 50), 0);  // touches only
  EXPECT_EQ(coverage.covered(50, 100, 50, 50), 0);
  EXPECT_EQ(coverage.covered(100, 300, 50, 50), 0);
  EXPECT_DOUBLE_EQ(coverage.covered(250, 150, 100, 100), 0.5);
  EXPECT_DOUBLE_EQ(coverage.covered(150, 250, 100, 100), 0.5);
  EXPECT_DOUBLE_EQ(coverage.covered(0, 0, 400, 400), 0.25);
  EXPECT_DOUBLE_EQ(coverage.covered(100, 50, 400, 100), 0.25);  // a side along a side
  EXPECT_DOUBLE_EQ(coverage.covered(0, 100, 300, 400), 1 / 3.0);
  EXPECT_DOUBLE_EQ(coverage.covered(299.75, 200, 1, 1), 0.25);
  EXPECT_FALSE(coverage.empty());
}

TEST(Coverage, HolesAndOverlaps) {
  const Shape holed = shape(rectangle(0, 0, 100, 100), "Tumor",
                            {rectangle(20, 20, 40, 40), rectangle(30, 30, 50, 50)});
  EXPECT_DOUBLE_EQ(Coverage({holed}, kCamelyon).covered(0, 0, 100, 100, 100), 1 - 0.07);
  EXPECT_EQ(Coverage({holed}, kCamelyon).covered(22, 22, 5, 5), 0);
  EXPECT_EQ(Coverage({holed}, kCamelyon).covered(32, 32, 5, 5), 0);  // two holes are no land
  // What lies in another shape is positive, hole or not; twice covered is covered once.
  const Coverage both({holed, shape(rectangle(0, 0, 30, 100), "_0")}, kCamelyon);
  EXPECT_DOUBLE_EQ(both.covered(0, 0, 100, 100, 100), 1 - 0.05);
  EXPECT_EQ(both.covered(22, 22, 5, 5), 1);
  const Coverage twice({shape(rectangle(0, 0, 10, 10)), shape(rectangle(5, 0, 15, 10), "_1")},
                       kCamelyon);
  EXPECT_DOUBLE_EQ(twice.covered(0, 0, 20, 10), 0.75);
}

TEST(Coverage, SelfIntersectionIsEvenOdd) {
  const Coverage bow_tie({shape({{0, 0}, {10, 10}, {10, 0}, {0, 10}})}, kCamelyon);
  EXPECT_NEAR(bow_tie.covered(0, 0, 10, 10, 1000), 0.5, 1e-6);
  EXPECT_NEAR(bow_tie.covered(0, 0, 5, 10, 1000), 0.5, 1e-6);
  EXPECT_EQ(bow_tie.covered(0.5, 4.5, 1, 1), 1);
  EXPECT_EQ(bow_tie.covered(4.5, 0.5, 1, 1), 0);
  // A pentagram's middle is outside by this rule.
  Ring star;
  for (int i = 0; i < 5; ++i) {
    const double angle = 4 * std::numbers::pi * i / 5;
    star.push_back({100 * std::sin(angle), -100 * std::cos(angle)});
  }
  EXPECT_EQ(Coverage({shape(star)}, kCamelyon).covered(-5, -5, 10, 10), 0);
}

TEST(Coverage, ExclusionsComeLastWhateverTheOrder) {
  const Shape land = shape(rectangle(0, 0, 100, 100)),
              more = shape(rectangle(50, 0, 150, 100), "_1");
  for (const char* group : {"_2", "Exclusion", "None"}) {
    const Shape lake = shape(rectangle(40, 0, 60, 50), group);
    for (const auto& order : {std::vector{land, lake, more}, std::vector{lake, land, more},
                              std::vector{land, more, lake}}) {
      const Coverage coverage(order, kCamelyon);
      EXPECT_DOUBLE_EQ(coverage.covered(0, 0, 200, 100, 100), 0.7);
      EXPECT_EQ(coverage.covered(45, 10, 10, 10), 0);
      EXPECT_EQ(coverage.covered(45, 60, 10, 10), 1);
      EXPECT_TRUE(coverage.unknown_groups().empty());
    }
  }
  // The hole of an exclusion excludes nothing.
  const Coverage holed({land, shape(rectangle(0, 0, 100, 100), "_2", {rectangle(10, 10, 20, 20)})},
                       kCamelyon);
  EXPECT_DOUBLE_EQ(holed.covered(0, 0, 100, 100, 100), 0.01);
}

TEST(Coverage, GroupsThatNobodyKnows) {
  const Coverage coverage({shape(rectangle(0, 0, 9, 9), "Stroma"), shape(rectangle(0, 0, 9, 9), ""),
                           shape(rectangle(0, 0, 9, 9), "Stroma")},
                          kCamelyon);
  EXPECT_EQ(coverage.unknown_groups(), (std::vector<std::string>{"Stroma", ""}));
  EXPECT_TRUE(coverage.empty());
  EXPECT_EQ(coverage.covered(0, 0, 9, 9), 0);
  EXPECT_FALSE(coverage.near_border(0, 0, 9, 9, 100));
  EXPECT_TRUE(Coverage({shape(rectangle(0, 0, 9, 9), "_2")}, kCamelyon).empty());
  EXPECT_TRUE(Coverage({}, kCamelyon).empty());
}

TEST(Coverage, PartsOutsideOfTheSlide) {
  const Coverage coverage({shape(rectangle(-50, -50, 50, 50)), shape(rectangle(10, 10, 20, 20)),
                           shape(rectangle(1000, 5, 1010, 15)), shape(rectangle(0, 0, 100, 100))},
                          kCamelyon);
  EXPECT_EQ(coverage.covered(0, 0, 50, 50), 1);
  const auto sentences = coverage.outside(100, 100);
  ASSERT_EQ(sentences.size(), 2U);
  EXPECT_NE(sentences[0].find("outline 's' (Tumor) lies in part outside"), std::string::npos);
  EXPECT_NE(sentences[0].find("x -50 to 50"), std::string::npos);
  EXPECT_NE(sentences[1].find("wholly outside"), std::string::npos);
}

TEST(Coverage, ACircleHasTheAreaOfACircle) {
  Ring ring;
  for (int i = 0; i < 5000; ++i) {
    const double angle = 2 * std::numbers::pi * i / 5000;
    ring.push_back({700 + 500 * std::cos(angle), 700 + 500 * std::sin(angle)});
  }
  const Coverage coverage({shape(ring)}, kCamelyon);
  EXPECT_NEAR(coverage.covered(0, 0, 1400, 1400, 20000) * 1400 * 1400, std::numbers::pi * 500 * 500,
              5);
  double tiles = 0;  // the parts make up the whole
  for (int row = 0; row < 14; ++row)
    for (int column = 0; column < 14; ++column)
      tiles += coverage.covered(column * 100, row * 100, 100, 100) * 1e4;
  EXPECT_NEAR(tiles, std::numbers::pi * 500 * 500, 20);
}

// Outlines that cross themselves and each other, with holes, exclusions, shared heights and
// horizontal edges (coordinates on a coarse lattice), against point sampling.
TEST(Coverage, RandomShapesAgreeWithPoints) {
  std::mt19937 random(7);
  const auto draw = [&](int most) { return static_cast<int>(random() % (most + 1)); };
  for (int trial = 0; trial < 40; ++trial) {
    const int lattice = trial % 2 ? 8 : 100;
    const auto ring = [&] {
      Ring points(3 + draw(9));
      for (Point& p : points)
        p = {static_cast<double>(draw(lattice)) * (200.0 / lattice),
             static_cast<double>(draw(lattice)) * (200.0 / lattice)};
      return points;
    };
    std::vector<Shape> shapes;
    for (int i = 0; i <= draw(4); ++i) {
      shapes.push_back(shape(ring(), draw(2) == 0 ? "_2" : "Tumor"));
      for (int h = draw(2); h > 0; --h) shapes.back().holes.push_back(ring());
    }
    const Coverage coverage(shapes, kCamelyon);
    for (int query = 0; query < 12; ++query) {
      const double x = draw(220) - 20.0 + 0.137, y = draw(220) - 20.0 + 0.071;
      const double width = 1 + draw(query < 6 ? 12 : 120), height = 1 + draw(query < 6 ? 12 : 120);
      ASSERT_NEAR(coverage.covered(x, y, width, height, 160),
                  sampled(shapes, x, y, width, height, 160), 0.01)
          << "trial " << trial << ", " << width << " x " << height << " at " << x << ", " << y;
    }
  }
}

TEST(Coverage, NearBorderIsExact) {
  const Coverage coverage(
      {shape(rectangle(100, 100, 300, 300)), shape(rectangle(1000, 1000, 1010, 1010), "_2")},
      kCamelyon);
  EXPECT_TRUE(coverage.near_border(50, 150, 40, 40, 10.001));
  EXPECT_FALSE(coverage.near_border(50, 150, 40, 40, 10));  // nearer than, not as near as
  EXPECT_TRUE(coverage.near_border(60, 60, 10, 10, std::hypot(30, 30) + 1e-6));  // by the corner
  EXPECT_FALSE(coverage.near_border(60, 60, 10, 10, std::hypot(30, 30) - 1e-6));
  EXPECT_FALSE(coverage.near_border(150, 150, 100, 100, 50));  // deep inside
  EXPECT_TRUE(coverage.near_border(150, 150, 100, 100, 50.01));
  EXPECT_TRUE(coverage.near_border(0, 0, 500, 500, 1));     // the whole outline within
  EXPECT_TRUE(coverage.near_border(200, 90, 1, 500, 0.5));  // crossed, no end within
  EXPECT_FALSE(coverage.near_border(0, 0, 500, 500, 0));
  EXPECT_FALSE(coverage.near_border(990, 990, 5, 5, 100));  // an exclusion's outline is none
  // A slanted edge that passes a corner: the distance is from the corner to the line.
  const Coverage slanted({shape({{0, 0}, {1000, 1000}, {0, 1000}})}, kCamelyon);
  const double distance = 100 / std::sqrt(2.0);
  EXPECT_TRUE(slanted.near_border(500, 300, 100, 100, 2 * distance));
  EXPECT_FALSE(slanted.near_border(500, 300, 100, 100, distance - 1e-6));
  EXPECT_TRUE(slanted.near_border(500, 300, 100, 100, distance + 1e-6));
}

TEST(Coverage, NearBorderAgreesWithPoints) {
  std::mt19937 random(11);
  const auto draw = [&] { return static_cast<double>(random() % 4000) / 10; };
  for (int trial = 0; trial < 40; ++trial) {
    Ring ring(5);
    for (Point& p : ring) p = {draw(), draw()};
    const Coverage coverage({shape(ring)}, kCamelyon);
    for (int query = 0; query < 10; ++query) {
      const double x = draw() - 100, y = draw() - 100, width = 1 + draw() / 8,
                   height = 1 + draw() / 8;
      const double distance = outline_distance(ring, x, y, width, height);
      EXPECT_TRUE(coverage.near_border(x, y, width, height, distance + 1e-9));
      if (distance > 2) EXPECT_FALSE(coverage.near_border(x, y, width, height, distance - 0.1));
    }
  }
}

// Do two of its edges cross, each within the other?
bool crosses_itself(const Ring& ring) {
  const auto side = [](const Point& p, const Point& q, const Point& r) {
    const double cross = (q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x);
    return (cross > 0) - (cross < 0);
  };
  for (size_t i = 0; i < ring.size(); ++i)
    for (size_t j = i + 2; j < ring.size(); ++j) {
      const Point &a = ring[i], &b = ring[i + 1], &c = ring[j], &d = ring[(j + 1) % ring.size()];
      if (side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0) return true;
    }
  return false;
}

TEST(Coverage, RealOutlinesHaveTheirArea) {
  if (real_data().empty())
    GTEST_SKIP() << "no folder of real data: set STYLESCOPE_DATA to try real outlines";
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(real_data() / "annotations")) {
    if (entry.path().extension() != ".xml") continue;
    for (const Shape& drawn : read_annotations(entry.path()).shapes) {
      if (crosses_itself(drawn.outer)) continue;  // signed and even-odd area differ there
      ++compared;
      const Coverage coverage({shape(drawn.outer)}, kCamelyon);
      const Box box = box_of(drawn.outer);
      const double width = box.right - box.left, height = box.bottom - box.top;
      const double covered =
          coverage.covered(box.left, box.top, width, height, 20000) * width * height;
      EXPECT_NEAR(covered / area(drawn.outer), 1, 1e-3) << entry.path() << " " << drawn.name;
      // In tiles as the tile stage asks for it, scan lines as it has them.
      double tiles = 0;
      for (double y = box.top - 7; y < box.bottom; y += 256)
        for (double x = box.left - 7; x < box.right; x += 256)
          tiles += coverage.covered(x, y, 256, 256) * 256 * 256;
      EXPECT_NEAR(tiles / area(drawn.outer), 1, 1e-3) << entry.path() << " " << drawn.name;
    }
  }
  EXPECT_GE(compared, 10);
}

}  // namespace
}  // namespace stylescope
