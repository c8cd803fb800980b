#include "stages/phantom/slide_phantom.hpp"

#include "io/atomic_file.hpp"
#include "stages/phantom/slide_measurement.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

constexpr uint64_t kSeed = 21;

SlidePhantomConfig clean(int64_t width, int64_t height) {
  SlidePhantomConfig config;
  config.width = width;
  config.height = height;
  config.pen = config.black_padding = false;
  return config;
}

std::vector<uint8_t> draw(const SlidePhantom& phantom, int64_t x, int64_t y, int64_t width,
                          int64_t height) {
  std::vector<uint8_t> rgb(static_cast<size_t>(3 * width * height));
  phantom.draw(x, y, width, height, rgb.data());
  return rgb;
}

double area(const Ring& ring) {
  double twice = 0;
  for (size_t i = 0; i < ring.size(); ++i) {
    const Point &a = ring[i], &b = ring[(i + 1) % ring.size()];
    twice += a.x * b.y - b.x * a.y;
  }
  return std::abs(twice) / 2;
}

bool inside(const Ring& ring, double x, double y) {
  bool odd = false;
  for (size_t i = 0; i < ring.size(); ++i) {
    const Point &a = ring[i], &b = ring[(i + 1) % ring.size()];
    if ((a.y > y) != (b.y > y) && x < a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x)) odd = !odd;
  }
  return odd;
}

bool inside(const std::vector<Shape>& shapes, const std::string& group, double x, double y) {
  return std::any_of(shapes.begin(), shapes.end(), [&](const Shape& shape) {
    return shape.group == group && inside(shape.outer, x, y) &&
           std::none_of(shape.holes.begin(), shape.holes.end(),
                        [&](const Ring& hole) { return inside(hole, x, y); });
  });
}

bool in_tumour(const SlidePhantom& phantom, double x, double y) {
  return inside(phantom.outlines(), "Tumor", x, y) &&
         !inside(phantom.outlines(), "Exclusion", x, y);
}

TEST(SlidePhantom, ARectangleLooksTheSameWhateverIsDrawnWithIt) {
  SlidePhantomConfig config;
  config.width = 1500, config.height = 1100;
  const SlidePhantom phantom(config, kSeed, 1);
  const int64_t width = 700, height = 500, x0 = 331, y0 = 257;
  const auto whole = draw(phantom, x0, y0, width, height);
  for (const auto& [x, y, w, h] : std::vector<std::array<int64_t, 4>>{
           {0, 0, 1, 1}, {13, 77, 64, 64}, {205, 101, 129, 63}, {5, 400, 690, 100}}) {
    const auto part = draw(phantom, x0 + x, y0 + y, w, h);
    for (int64_t row = 0; row < h; ++row)
      ASSERT_TRUE(std::equal(part.begin() + 3 * row * w, part.begin() + 3 * (row + 1) * w,
                             whole.begin() + 3 * ((y + row) * width + x)))
          << x << "," << y << " row " << row;
  }
}

TEST(SlidePhantom, ThreadsDrawTheSameBits) {
  const SlidePhantom phantom(clean(1024, 1024), kSeed, 3);
  const auto alone = draw(phantom, 0, 256, 1024, 512);
  std::vector<std::vector<uint8_t>> strips(4);
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      strips[static_cast<size_t>(i)] =
          draw(SlidePhantom(clean(1024, 1024), kSeed, 3), 0, 256 + 128 * i, 1024, 128);
    });
  for (auto& thread : threads) thread.join();
  std::vector<uint8_t> together;
  for (const auto& strip : strips) together.insert(together.end(), strip.begin(), strip.end());
  EXPECT_EQ(together, alone);
}

TEST(SlidePhantom, SlidesAndSeedsDiffer) {
  const auto config = clean(512, 512);
  const auto first = draw(SlidePhantom(config, kSeed, 1), 128, 128, 128, 128);
  EXPECT_NE(first, draw(SlidePhantom(config, kSeed, 3), 128, 128, 128, 128));
  EXPECT_NE(first, draw(SlidePhantom(config, kSeed + 1, 1), 128, 128, 128, 128));
}

TEST(SlidePhantom, TumoursTakeTheirShareOfTheTissueOnOddSlides) {
  int64_t with_island = 0, in_two_pieces = 0;
  for (int64_t slide = 0; slide < 60; ++slide) {
    const SlidePhantom phantom(clean(slide % 3 ? 4096 : 1024, slide % 4 ? 4096 : 2048), kSeed,
                               slide);
    EXPECT_EQ(phantom.tumour(), slide % 2 == 1);
    EXPECT_EQ(phantom.outlines().empty(), slide % 2 == 0);
    double tissue = 0, tumour = 0;
    for (const auto& piece : phantom.tissue()) {
      tissue += area(piece.outer);
      for (const auto& hole : piece.holes) tissue -= area(hole);
    }
    int64_t regions = 0;
    for (const auto& shape : phantom.outlines()) {
      const bool positive = shape.group == "Tumor";
      regions += positive;
      with_island += !positive;
      tumour += (positive ? 1 : -1) * area(shape.outer);
      for (const auto& point : shape.outer)
        ASSERT_TRUE(positive ? inside(phantom.tissue(), "Tissue", point.x, point.y)
                             : inside(phantom.outlines(), "Tumor", point.x, point.y));
    }
    in_two_pieces += phantom.tissue().size() == 2;
    if (!phantom.tumour()) continue;
    EXPECT_GE(tumour / tissue, 0.15) << slide;
    EXPECT_LE(tumour / tissue, 0.36) << slide;
    EXPECT_GE(regions, 1);
    EXPECT_LE(regions, 3);
  }
  EXPECT_GT(with_island, 3);
  EXPECT_LT(with_island, 27);
  EXPECT_GT(in_two_pieces, 10);
  EXPECT_LT(in_two_pieces, 50);
}

TEST(SlidePhantom, TissueIsDrawnWithinItsOutline) {
  for (const int64_t slide : {0, 1, 2}) {
    const SlidePhantom phantom(clean(1024, 768), kSeed, slide);
    const auto rgb = draw(phantom, 0, 0, 1024, 768);
    int64_t wrong = 0, tissue = 0;
    for (int64_t y = 0; y < 768; y += 2) {
      for (int64_t x = 0; x < 1024; x += 2) {
        const auto* pixel = rgb.data() + 3 * (y * 1024 + x);
        const bool drawn = *std::min_element(pixel, pixel + 3) < 222;
        const bool outlined = inside(phantom.tissue(), "Tissue", static_cast<double>(x) + 0.5,
                                     static_cast<double>(y) + 0.5);
        tissue += outlined;
        wrong += drawn != outlined;
      }
    }
    EXPECT_GT(tissue, 40000) << slide;
    EXPECT_LT(wrong, tissue / 50) << slide;
  }
}

TEST(SlidePhantom, GlassAloneIsReported) {
  const SlidePhantom phantom(clean(2048, 2048), kSeed, 0);
  std::vector<uint8_t> rgb(size_t{3} * 64 * 64);
  EXPECT_FALSE(phantom.draw(0, 0, 64, 64, rgb.data()));
  EXPECT_GT(*std::min_element(rgb.begin(), rgb.end()), 222);
  EXPECT_TRUE(phantom.draw(1000, 1000, 64, 64, rgb.data()));
}

struct Extras {
  int64_t black = 0, inked = 0;
};

// How many of the slides have padding and pen strokes.
Extras count_extras(SlidePhantomConfig config, int64_t slides) {
  Extras extras;
  config.width = config.height = 512;
  for (int64_t slide = 0; slide < slides; ++slide) {
    const auto rgb = draw(SlidePhantom(config, kSeed, slide), 0, 0, 512, 512);
    int64_t black = 0, inked = 0;
    for (size_t i = 0; i < rgb.size(); i += 3) {
      const int r = rgb[i], g = rgb[i + 1], b = rgb[i + 2];
      black += r == 0 && g == 0 && b == 0;
      inked += std::max(g, b) > r + 60;
    }
    extras.black += black > 512;
    extras.inked += inked > 200;
  }
  return extras;
}

TEST(SlidePhantom, SomeHavePenAndPaddingWhenAsked) {
  SlidePhantomConfig config;
  const auto with = count_extras(config, 16);
  EXPECT_GT(with.black, 1);
  EXPECT_LT(with.black, 10);
  EXPECT_GT(with.inked, 1);
  EXPECT_LT(with.inked, 12);
  config.pen = config.black_padding = false;
  const auto without = count_extras(config, 16);
  EXPECT_EQ(without.black, 0);
  EXPECT_EQ(without.inked, 0);
}

TEST(SlidePhantom, IsWrittenOnceWithItsOutlines) {
  const testing_support::TempDir dir;
  const auto config = clean(600, 500);
  const auto files = write_slide_phantoms(dir.path() / "a", config, kSeed, 2, 1);
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].filename(), "normal_001.tif");
  EXPECT_EQ(files[1].filename(), "tumor_002.tif");
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "a/normal_001.xml"));
  const auto outlines = read_asap_xml(dir.path() / "a/tumor_002.xml").shapes;
  const SlidePhantom phantom(config, kSeed, 1);
  ASSERT_EQ(outlines.size(), phantom.outlines().size());
  for (size_t i = 0; i < outlines.size(); ++i) {
    EXPECT_EQ(outlines[i].group, phantom.outlines()[i].group);
    EXPECT_NEAR(area(outlines[i].outer), area(phantom.outlines()[i].outer), 5);
  }
  const auto other = write_slide_phantoms(dir.path() / "b", config, kSeed, 2, 2);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(read_text(files[i]), read_text(other[i])) << i;

  publish_text(files[0], "mine");
  std::filesystem::remove(files[1]);
  write_slide_phantoms(dir.path() / "a", config, kSeed, 2, 1);
  EXPECT_EQ(read_text(files[0]), "mine");
  EXPECT_EQ(read_text(files[1]), read_text(other[1]));
}

// A tile of `side` pixels at `factor` times the slide's micrometres a pixel.
torch::Tensor tile(const SlidePhantom& phantom, int64_t x, int64_t y, int64_t side,
                   int64_t factor) {
  const int64_t n = side * factor;
  auto rgb = draw(phantom, x, y, n, n);
  const auto planar = torch::from_blob(rgb.data(), {n, n, 3}, torch::kUInt8).permute({2, 0, 1});
  return torch::avg_pool2d(planar.to(torch::kFloat32).unsqueeze(0), factor)
      .squeeze(0)
      .round()
      .to(torch::kUInt8);
}

struct Measured {
  std::vector<double> size, stain, strength;
};

// Tiles wholly in tumour or wholly in normal tissue, `each` of either from every slide.
std::array<Measured, 2> measure(int64_t side, int64_t factor, int64_t slides, int64_t each) {
  std::array<Measured, 2> classes;
  const int64_t n = side * factor, width = 2048;
  for (int64_t slide = 1; slide < 2 * slides; slide += 2) {
    const SlidePhantom phantom(clean(width, width), kSeed, slide);
    std::mt19937 places(static_cast<unsigned>(slide));
    std::array<int64_t, 2> found{};
    for (int attempt = 0; attempt < 3000 && (found[0] < each || found[1] < each); ++attempt) {
      const auto x = static_cast<int64_t>(places() % static_cast<unsigned>(width - n));
      const auto y = static_cast<int64_t>(places() % static_cast<unsigned>(width - n));
      int64_t tissue = 0, tumour = 0;
      for (int64_t i = 0; i < 9; ++i) {
        const auto px = static_cast<double>(x + i % 3 * n / 2),
                   py = static_cast<double>(y + i / 3 * n / 2);
        tissue += inside(phantom.tissue(), "Tissue", px, py);
        tumour += in_tumour(phantom, px, py);
      }
      if (tissue < 9 || (tumour > 0 && tumour < 9)) continue;
      const size_t group = tumour == 9 ? 1 : 0;
      if (found[group]++ >= each) continue;
      const auto measured =
          measure_slide_tile(tile(phantom, x, y, side, factor), 0.5 * static_cast<double>(factor));
      classes[group].size.push_back(measured.nuclear_size);
      classes[group].stain.push_back(measured.stain);
      classes[group].strength.push_back(phantom.stain().haematoxylin);
    }
  }
  return classes;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  auto x = torch::tensor(a, torch::kFloat64), y = torch::tensor(b, torch::kFloat64);
  x -= x.mean();
  y -= y.mean();
  return ((x * y).sum() / (x.norm() * y.norm())).item<double>();
}

std::vector<double> joined(std::vector<double> a, const std::vector<double>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

double separation(const Measured& normal, const Measured& tumour) {
  double above = 0;
  for (const double a : tumour.size)
    for (const double b : normal.size) above += a > b ? 1 : a == b ? 0.5 : 0;
  return above / static_cast<double>(tumour.size.size() * normal.size.size());
}

class SlideMeasurement : public ::testing::TestWithParam<int64_t> {};

TEST_P(SlideMeasurement, SeparatesTumourAndTellsItFromTheStain) {
  const auto [normal, tumour] = measure(64, GetParam(), 16, 4);
  ASSERT_GT(normal.size.size(), 50U);
  ASSERT_GT(tumour.size.size(), 50U);
  EXPECT_GT(separation(normal, tumour), 0.96);
  EXPECT_LT(std::abs(correlation(normal.size, normal.strength)), 0.25);
  EXPECT_LT(std::abs(correlation(tumour.size, tumour.strength)), 0.25);
  EXPECT_GT(
      correlation(joined(normal.stain, tumour.stain), joined(normal.strength, tumour.strength)),
      0.85);
  std::vector<double> label(normal.stain.size(), 0);
  label.resize(label.size() + tumour.stain.size(), 1);
  EXPECT_LT(std::abs(correlation(joined(normal.stain, tumour.stain), label)), 0.25);
}

INSTANTIATE_TEST_SUITE_P(Factors, SlideMeasurement, ::testing::Values(1, 2));

TEST(SlideMeasurement, GivesANumberForAnyPicture) {
  for (const int64_t value : {0, 128, 255}) {
    const auto measured = measure_slide_tile(torch::full({3, 32, 32}, value, torch::kUInt8), 1.0);
    EXPECT_TRUE(std::isfinite(measured.nuclear_size));
    EXPECT_TRUE(std::isfinite(measured.stain));
  }
  EXPECT_EQ(measure_slide_tile(torch::full({3, 32, 32}, 255, torch::kUInt8), 0.25).nuclear_size, 0);
}

}  // namespace
}  // namespace stylescope
