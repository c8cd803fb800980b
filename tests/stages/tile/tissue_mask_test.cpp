#include "stages/tile/tissue_mask.hpp"

#include "tests/stages/tile/real_patches.hpp"
#include "tests/stages/tile/stained_picture.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using namespace testing_support;

constexpr int64_t kWidth = 320, kHeight = 240;

// A slide at 8 um a pixel: noisy glass, on which a test paints.
class Slide {
 public:
  explicit Slide(double strength = 1, int glass = 242) : random_(1), strength_(strength) {
    rgb_.resize(static_cast<size_t>(kWidth * kHeight * 3));
    paint([](int64_t, int64_t) { return true; }, [&] { return grey(glass, 3); });
  }
  using Where = std::function<bool(int64_t, int64_t)>;
  using Colour = std::array<uint8_t, 3>;

  void paint(const Where& where, const std::function<Colour()>& colour) {
    for (int64_t y = 0; y < kHeight; ++y)
      for (int64_t x = 0; x < kWidth; ++x)
        if (where(x, y)) {
          const auto c = colour();
          std::ranges::copy(c, rgb_.begin() + (y * kWidth + x) * 3);
        }
  }
  Colour grey(int level, int noise) {
    std::uniform_int_distribution<int> jitter(-noise, noise);
    Colour c;
    for (auto& v : c) v = static_cast<uint8_t>(std::clamp(level + jitter(random_), 0, 255));
    return c;
  }
  // Pale stroma to dense nuclei.
  Colour tissue() {
    std::uniform_real_distribution<double> share(0, 1);
    return stained_pixel(known_stains()[0], strength_ * (0.05 + 0.5 * share(random_)),
                         strength_ * (0.15 + 0.4 * share(random_)));
  }
  void paint_tissue(const Where& where) {
    paint(where, [&] { return tissue(); });
  }
  TissueMask find(const TissueConfig& config = {}) const {
    return find_tissue(rgb_.data(), kWidth, kHeight, 32, 32, 8, config);
  }

 private:
  std::mt19937 random_;
  double strength_;
  std::vector<uint8_t> rgb_;
};

Slide::Where disc(int64_t cx, int64_t cy, int64_t radius) {
  return [=](int64_t x, int64_t y) {
    return (x - cx) * (x - cx) + (y - cy) * (y - cy) <= radius * radius;
  };
}
Slide::Where box(int64_t x0, int64_t y0, int64_t x1, int64_t y1) {
  return [=](int64_t x, int64_t y) { return x >= x0 && x < x1 && y >= y0 && y < y1; };
}

// Intersection over union of the mask and the truth.
double agreement(const TissueMask& mask, const Slide::Where& truth) {
  int64_t both = 0, either = 0;
  for (int64_t y = 0; y < mask.height; ++y)
    for (int64_t x = 0; x < mask.width; ++x) {
      const bool found = mask.tissue[static_cast<size_t>(y * mask.width + x)], is = truth(x, y);
      both += found && is;
      either += found || is;
    }
  return static_cast<double>(both) / static_cast<double>(either);
}

int64_t count(const std::vector<uint8_t>& plane) {
  return std::count(plane.begin(), plane.end(), 1);
}

TEST(TissueMask, FindsWhatIsThere) {
  Slide slide;
  const auto truth = [](int64_t x, int64_t y) {
    return disc(100, 100, 60)(x, y) || box(200, 120, 300, 220)(x, y);
  };
  slide.paint_tissue(truth);
  const auto mask = slide.find();
  EXPECT_GT(agreement(mask, truth), 0.98);
  EXPECT_GT(mask.saturation_threshold, 0.05);
  EXPECT_LT(mask.saturation_threshold, 0.4);
  EXPECT_EQ(count(mask.black), 0);
  EXPECT_EQ(count(mask.pen), 0);
}

TEST(TissueMask, FindsFaintTissue) {
  Slide slide(0.25);
  slide.paint_tissue(disc(160, 120, 80));
  EXPECT_GT(agreement(slide.find(), disc(160, 120, 80)), 0.95);
}

TEST(TissueMask, FindsTissueOnDimAndTintedGlass) {
  Slide slide;
  slide.paint([](int64_t, int64_t) { return true; },
              [&] {
                auto c = slide.grey(222, 3);
                return Slide::Colour{c[0], c[1], static_cast<uint8_t>(c[2] - 14)};
              });
  slide.paint_tissue(disc(160, 120, 80));
  EXPECT_GT(agreement(slide.find(), disc(160, 120, 80)), 0.97);
}

TEST(TissueMask, BlackPaddingDoesNotShiftTheThreshold) {
  Slide plain, padded;
  for (auto* slide : {&plain, &padded}) slide->paint_tissue(disc(80, 120, 50));
  padded.paint(box(150, 0, kWidth, kHeight), [&] { return padded.grey(8, 6); });
  const auto mask = padded.find();
  EXPECT_NEAR(mask.saturation_threshold, plain.find().saturation_threshold, 0.03);
  EXPECT_GT(agreement(mask, disc(80, 120, 50)), 0.97);
  EXPECT_EQ(count(mask.black), (kWidth - 150) * kHeight);
}

TEST(TissueMask, PenIsNoTissue) {
  for (const Slide::Colour ink : {Slide::Colour{30, 60, 170}, Slide::Colour{10, 110, 60},
                                  Slide::Colour{200, 30, 40}, Slide::Colour{50, 48, 52}}) {
    Slide slide;
    slide.paint_tissue(disc(80, 120, 50));
    // A stroke with the pale rim that a scanner's optics give it.
    Slide::Colour rim;
    for (size_t c = 0; c < 3; ++c) rim[c] = static_cast<uint8_t>((ink[c] + 3 * 242) / 4);
    slide.paint(box(199, 29, 261, 211), [&] { return rim; });
    slide.paint(box(200, 30, 260, 210), [&] { return ink; });
    const auto mask = slide.find();
    EXPECT_GT(agreement(mask, disc(80, 120, 50)), 0.97) << int{ink[0]};
    EXPECT_GE(count(mask.pen), 60 * 180);
    EXPECT_LE(count(mask.pen), 68 * 188);
  }
}

TEST(TissueMask, DustIsNoTissue) {
  Slide slide;
  slide.paint_tissue(disc(80, 120, 50));
  slide.paint(disc(240, 80, 25), [&] { return slide.grey(170, 3); });
  slide.paint(disc(240, 170, 25), [&] { return slide.grey(110, 2); });
  EXPECT_GT(agreement(slide.find(), disc(80, 120, 50)), 0.97);
}

TEST(TissueMask, PureGlassHasNone) {
  const auto mask = Slide().find();
  EXPECT_EQ(count(mask.tissue), 0);
  EXPECT_EQ(mask.saturation_threshold, TissueConfig{}.min_saturation);
}

TEST(TissueMask, NothingButTissueIsNotCutInHalf) {
  for (const double strength : {0.3, 1.0, 1.5}) {
    Slide slide(strength);
    slide.paint_tissue([](int64_t, int64_t) { return true; });
    EXPECT_EQ(count(slide.find().tissue), kWidth * kHeight) << strength;
  }
  // A dense half and a pale one: Otsu parts them well, and both are tissue.
  Slide halves;
  halves.paint([](int64_t, int64_t) { return true; },
               [&] { return stained_pixel(known_stains()[0], 0.1, 0.3); });
  halves.paint(box(0, 0, kWidth / 2, kHeight),
               [&] { return stained_pixel(known_stains()[0], 0.9, 0.3); });
  EXPECT_EQ(count(halves.find().tissue), kWidth * kHeight);
}

TEST(TissueMask, SmallPiecesAndHolesGoBySquareMicrometres) {
  Slide slide;
  slide.paint_tissue(box(20, 20, 220, 220));
  slide.paint(disc(70, 70, 8), [&] { return slide.grey(242, 3); });     // 12,600 um2
  slide.paint(disc(150, 150, 20), [&] { return slide.grey(242, 3); });  // 80,000 um2
  slide.paint_tissue(disc(270, 60, 7));                                 // 9,500 um2
  slide.paint_tissue(disc(270, 160, 15));                               // 45,000 um2
  const auto truth = [](int64_t x, int64_t y) {
    return (box(20, 20, 220, 220)(x, y) && !disc(150, 150, 20)(x, y)) || disc(270, 160, 15)(x, y);
  };
  EXPECT_GT(agreement(slide.find(), truth), 0.99);
  TissueConfig config;
  config.min_hole_um2 = config.min_area_um2 = 5000;
  const auto all = [&](int64_t x, int64_t y) {
    return (truth(x, y) && !disc(70, 70, 8)(x, y)) || disc(270, 60, 7)(x, y);
  };
  EXPECT_GT(agreement(slide.find(config), all), 0.99);
}

TEST(TissueMask, GapsAtTheBorderAreNoHoles) {
  Slide slide;
  slide.paint_tissue([](int64_t x, int64_t y) { return !disc(0, 120, 7)(x, y); });
  EXPECT_EQ(slide.find().tissue[120 * kWidth], 0);
}

TEST(TissueMask, RealPatchesAreTissue) {
  const auto patches = real_patches(60);
  if (patches.empty()) GTEST_SKIP() << kNoPatches;
  // A wall of patches, side by side, and as much glass below it.
  const int64_t columns = 10, rows = static_cast<int64_t>(patches.size()) / columns;
  const int64_t width = columns * 96, height = rows * 96;
  std::vector<uint8_t> rgb(static_cast<size_t>(width * height * 2 * 3), 243);
  for (int64_t i = 0; i < rows * columns; ++i)
    for (int64_t y = 0; y < 96; ++y)
      for (int64_t x = 0; x < 96; ++x)
        for (int64_t c = 0; c < 3; ++c)
          rgb[static_cast<size_t>(((i / columns * 96 + y) * width + i % columns * 96 + x) * 3 +
                                  c)] =
              patches[static_cast<size_t>(i)][static_cast<size_t>((c * 96 + y) * 96 + x)];
  const auto mask = find_tissue(rgb.data(), width, height * 2, 1, 1, 8, {});
  const auto w = static_cast<double>(width), h = static_cast<double>(height);
  EXPECT_GT(mask.share(mask.tissue, 0, 0, w, h), 0.8);
  EXPECT_LT(mask.share(mask.tissue, 0, h + 8, w, h - 8), 0.001);
  EXPECT_LT(mask.share(mask.pen, 0, 0, w, h), 0.02);
}

TissueMask random_mask(int64_t width, int64_t height, double share, unsigned seed) {
  std::mt19937 random(seed);
  TissueMask mask;
  mask.width = width, mask.height = height;
  mask.scale_x = 32.7, mask.scale_y = 31.9;
  for (int64_t i = 0; i < width * height; ++i)
    mask.tissue.push_back(std::bernoulli_distribution(share)(random));
  return mask;
}

TEST(TissueMask, OutlinesGiveTheSameMaskBack) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    // Dense ones have chequered corners and holes within holes.
    auto mask = random_mask(1 + seed % 23, 1 + seed % 17, 0.05 + 0.9 * (seed % 10) / 9.0, seed);
    const auto before = mask.tissue;
    const auto shapes = outlines_of(mask);
    for (const auto& shape : shapes) {
      EXPECT_EQ(shape.group, "Tissue");
      auto rings = shape.holes;
      rings.push_back(shape.outer);
      for (const auto& ring : rings) {
        std::set<std::pair<double, double>> corners;
        for (const auto& point : ring) corners.emplace(point.x, point.y);
        EXPECT_GE(ring.size(), 4U);
        EXPECT_EQ(corners.size(), ring.size()) << "a ring touches itself";
      }
    }
    replace_tissue(mask, shapes);
    EXPECT_EQ(mask.tissue, before) << seed;
  }
}

TEST(TissueMask, OutlinesAreWhatOneWouldDraw) {
  TissueMask mask;
  mask.width = 5, mask.height = 4;
  mask.scale_x = 10, mask.scale_y = 20;
  mask.tissue = {1, 1, 1, 0, 0,  //
                 1, 0, 1, 0, 0,  //
                 1, 1, 1, 0, 0,  //
                 0, 0, 0, 1, 0};
  const auto shapes = outlines_of(mask);
  ASSERT_EQ(shapes.size(), 2U);
  const auto points = [](const Ring& ring) {
    std::vector<std::pair<double, double>> out;
    for (const auto& p : ring) out.emplace_back(p.x, p.y);
    return out;
  };
  using Points = std::vector<std::pair<double, double>>;
  EXPECT_EQ(points(shapes[0].outer), (Points{{0, 0}, {30, 0}, {30, 60}, {0, 60}}));
  ASSERT_EQ(shapes[0].holes.size(), 1U);
  EXPECT_EQ(points(shapes[0].holes[0]), (Points{{10, 40}, {20, 40}, {20, 20}, {10, 20}}));
  EXPECT_EQ(points(shapes[1].outer), (Points{{30, 60}, {40, 60}, {40, 80}, {30, 80}}));
}

TEST(TissueMask, AnyOutlineReplacesTheTissue) {
  auto mask = random_mask(10, 10, 0.5, 1);
  mask.scale_x = mask.scale_y = 2;
  // A triangle over the mask's corner and a bow tie (even-odd); half of it lies outside.
  replace_tissue(mask, {{{{-20, -20}, {8.5, -20}, {-20, 8.5}}, {}, "", ""},
                        {{{10, 10}, {30, 10}, {10, 20}, {30, 20}}, {}, "", ""}});
  for (int64_t y = 0; y < 10; ++y)
    for (int64_t x = 0; x < 10; ++x) {
      const double px = 2.0 * static_cast<double>(x) + 1, py = 2.0 * static_cast<double>(y) + 1;
      const bool corner = px + py < -11.5;
      const double half = (py - 10) * 2;  // the bow's edges: x = 10 + half and x = 30 - half
      const double low = std::min(10 + half, 30 - half), high = std::max(10 + half, 30 - half);
      const bool bow = py > 10 && px >= low && px < high;
      EXPECT_EQ(mask.tissue[static_cast<size_t>(y * 10 + x)], corner || bow) << x << ", " << y;
    }
  replace_tissue(mask, {});
  EXPECT_EQ(count(mask.tissue), 0);
}

TEST(TissueMask, ShareCountsPartsOfPixels) {
  auto mask = random_mask(12, 9, 0.5, 3);
  mask.scale_x = 4, mask.scale_y = 3;
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> at(-20, 60), size(0.1, 40);
  for (int i = 0; i < 300; ++i) {
    const double x = at(random), y = at(random), w = size(random), h = size(random);
    double covered = 0;
    for (int64_t j = 0; j < 9; ++j)
      for (int64_t k = 0; k < 12; ++k) {
        const auto px = 4.0 * static_cast<double>(k), py = 3.0 * static_cast<double>(j);
        const double across = std::min(x + w, px + 4) - std::max(x, px);
        const double down = std::min(y + h, py + 3) - std::max(y, py);
        if (across > 0 && down > 0 && mask.tissue[static_cast<size_t>(j * 12 + k)])
          covered += across * down;
      }
    ASSERT_NEAR(mask.share(mask.tissue, x, y, w, h), covered / (w * h), 1e-9);
  }
  EXPECT_EQ(mask.share(mask.tissue, 100, 0, 10, 10), 0);
}

}  // namespace
}  // namespace stylescope
