#include "stages/tile/tissue_mask.hpp"

#include "io/base/error.hpp"
#include "stages/tile/ink.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace stylescope {
namespace {

constexpr int kBlackLevel = 30;  // brightest channel of scanners' padding
constexpr double kGlassDensity = 0.1, kSeparation = 2;

// One pixel a cell, (height, width) uint8, over memory that the vector keeps.
cv::Mat plane_of(std::vector<uint8_t>& plane, int64_t width, int64_t height) {
  return {static_cast<int>(height), static_cast<int>(width), CV_8U, plane.data()};
}

// What the rule looks at: saturation in 1/255, optical density (mean of the channels).
struct Looks {
  std::vector<uint8_t> saturation;
  std::vector<float> density;
};

Looks look_at(const uint8_t* picture, TissueMask& mask) {
  const size_t n = static_cast<size_t>(mask.width * mask.height);
  std::array<float, 256> density;
  for (int v = 0; v < 256; ++v)
    density[static_cast<size_t>(v)] = static_cast<float>(-std::log10(std::max(v, 1) / 255.0) / 3);
  Looks looks{std::vector<uint8_t>(n), std::vector<float>(n)};
  mask.black.assign(n, 0);
  mask.pen.assign(n, 0);
  for (size_t i = 0; i < n; ++i) {
    const int r = picture[3 * i], g = picture[3 * i + 1], b = picture[3 * i + 2];
    const int high = std::max({r, g, b}), low = std::min({r, g, b});
    bool ink = false;
    find_ink(r, g, b, ink);
    mask.black[i] = high <= kBlackLevel;
    mask.pen[i] = ink && !mask.black[i];
    looks.saturation[i] =
        static_cast<uint8_t>(high > 0 ? ((high - low) * 255 + high / 2) / high : 0);
    looks.density[i] = density[static_cast<size_t>(r)] + density[static_cast<size_t>(g)] +
                       density[static_cast<size_t>(b)];
  }
  return looks;
}

// A disc-like kernel: the odd number of mask pixels nearest to the width given (ties up).
cv::Mat kernel_of(double um, double mpp) {
  const int size = 2 * static_cast<int>(um / mpp / 2 + 1e-9) + 1;
  return cv::getStructuringElement(cv::MORPH_ELLIPSE, {size, size});
}

// Specks of ink go; what stays grows by the pale rim of a stroke, which is tissue by its colour.
void settle_pen(TissueMask& mask, double mpp, const TissueConfig& config) {
  auto pen = plane_of(mask.pen, mask.width, mask.height);
  cv::morphologyEx(pen, pen, cv::MORPH_OPEN, kernel_of(config.open_um, mpp));
  cv::dilate(pen, pen, kernel_of(2 * config.open_um, mpp));
}

// Classes of the saturation histogram split after `level`.
struct Split {
  int level = 0;
  double low_mean = 0, high_mean = 0, low_deviation = 0, high_deviation = 0;
  bool separated() const {
    return high_mean - low_mean > kSeparation * (low_deviation + high_deviation);
  }
};

struct Moments {
  double n = 0, sum = 0, squares = 0;
  void add(double count, double x) { n += count, sum += count * x, squares += count * x * x; }
  double mean() const { return n > 0 ? sum / n : 0; }
  double deviation() const {
    return n > 0 ? std::sqrt(std::max(0.0, squares / n - mean() * mean())) : 0;
  }
};

// Otsu 1979: the split of most variance between the classes; the middle of a range of equals.
Split otsu(const std::array<int64_t, 256>& histogram) {
  const auto moments = [&](int from, int to) {
    Moments m;
    for (int v = from; v <= to; ++v)
      m.add(static_cast<double>(histogram[static_cast<size_t>(v)]), v / 255.0);
    return m;
  };
  double best = 0;
  int first = 0, last = 0;
  for (int level = 0; level < 255; ++level) {
    const auto low = moments(0, level), high = moments(level + 1, 255);
    const double gap = high.mean() - low.mean();
    const double between = low.n * high.n * gap * gap;
    if (between > best * (1 + 1e-12)) best = between, first = level;
    if (between >= best * (1 - 1e-12)) last = level;
  }
  Split split{(first + last) / 2};
  const auto low = moments(0, split.level), high = moments(split.level + 1, 255);
  split.low_mean = low.mean(), split.low_deviation = low.deviation();
  split.high_mean = high.mean(), split.high_deviation = high.deviation();
  return split;
}

// What a pixel needs to be tissue: see find_tissue.
struct Rule {
  double saturation, glass_density;
};

Rule settle_rule(const Looks& looks, const TissueMask& mask, const TissueConfig& config) {
  const Rule none{config.min_saturation, 0};
  std::array<int64_t, 256> histogram{};
  for (size_t i = 0; i < looks.saturation.size(); ++i)
    if (!mask.black[i] && !mask.pen[i]) ++histogram[looks.saturation[i]];
  const Split split = otsu(histogram);
  if (!split.separated()) return none;
  double density = 0, n = 0;
  for (size_t i = 0; i < looks.saturation.size(); ++i)
    if (!mask.black[i] && !mask.pen[i] && looks.saturation[i] <= split.level)
      density += static_cast<double>(looks.density[i]), ++n;
  const double glass = n > 0 ? density / n : 0;
  if (glass > kGlassDensity) return none;
  return {std::max(config.min_saturation, (split.level + 0.5) / 255), glass};
}

// Every connected part of `plane` (non-zero) smaller than min_pixels is set to `value` in `target`,
// but for the part that holds the upper left corner when that one is `spared`.
void recolour_small(const cv::Mat& plane, double min_pixels, int connectivity, bool spared,
                    uint8_t value, cv::Mat& target) {
  cv::Mat labels, stats, middles;
  const int n = cv::connectedComponentsWithStats(plane, labels, stats, middles, connectivity);
  std::vector<uint8_t> small(static_cast<size_t>(n), 0);
  for (int i = 1; i < n; ++i)
    small[static_cast<size_t>(i)] = stats.at<int>(i, cv::CC_STAT_AREA) < min_pixels;
  if (spared) small[static_cast<size_t>(labels.at<int>(0, 0))] = 0;
  for (int y = 0; y < plane.rows; ++y)
    for (int x = 0; x < plane.cols; ++x)
      if (small[static_cast<size_t>(labels.at<int>(y, x))]) target.at<uint8_t>(y, x) = value;
}

void settle_pieces(TissueMask& mask, double mpp, const TissueConfig& config) {
  auto tissue = plane_of(mask.tissue, mask.width, mask.height);
  const cv::Mat never =
      plane_of(mask.black, mask.width, mask.height) | plane_of(mask.pen, mask.width, mask.height);
  const double pixel_um2 = mpp * mpp;
  cv::morphologyEx(tissue, tissue, cv::MORPH_CLOSE, kernel_of(config.close_um, mpp));
  cv::morphologyEx(tissue, tissue, cv::MORPH_OPEN, kernel_of(config.open_um, mpp));
  // A frame makes one part of all gaps that reach the border: those are no holes, however small.
  cv::Mat gaps, filled;
  cv::copyMakeBorder(tissue == 0, gaps, 1, 1, 1, 1, cv::BORDER_CONSTANT, 255);
  cv::copyMakeBorder(tissue, filled, 1, 1, 1, 1, cv::BORDER_CONSTANT, 0);
  recolour_small(gaps, config.min_hole_um2 / pixel_um2, 4, true, 1, filled);
  filled(cv::Rect(1, 1, tissue.cols, tissue.rows)).copyTo(tissue);
  tissue.setTo(0, never);
  recolour_small(tissue, config.min_area_um2 / pixel_um2, 8, false, 0, tissue);
}

}  // namespace

void TissueConfig::describe(Fields& f) {
  f.field("mpp", mpp, {0.5, 100}, "of the picture that the mask is found on, micrometres a pixel");
  f.field("min_saturation", min_saturation, {0, 1},
          "least saturation of tissue, whatever Otsu's threshold (0..1)");
  f.field("min_density", min_density, {0, 3},
          "least optical density of tissue, mean of the channels");
  f.field("close_um", close_um, {0, 10'000}, "gaps narrower than this are closed, micrometres");
  f.field("open_um", open_um, {0, 10'000}, "specks narrower than this are removed, micrometres");
  f.field("min_area_um2", min_area_um2, {0, 1e9}, "smaller pieces are removed, square micrometres");
  f.field("min_hole_um2", min_hole_um2, {0, 1e9}, "smaller holes are filled, square micrometres");
}

TissueMask find_tissue(const uint8_t* picture, int64_t width, int64_t height, double scale_x,
                       double scale_y, double mpp, const TissueConfig& config) {
  SS_CHECK(width > 0 && height > 0 && scale_x > 0 && scale_y > 0 && mpp > 0);
  TissueMask mask;
  mask.width = width, mask.height = height;
  mask.scale_x = scale_x, mask.scale_y = scale_y;
  const Looks looks = look_at(picture, mask);
  settle_pen(mask, mpp, config);
  const Rule rule = settle_rule(looks, mask, config);
  mask.saturation_threshold = rule.saturation;
  const double dense = rule.glass_density + 2 * config.min_density;
  mask.tissue.resize(looks.saturation.size());
  for (size_t i = 0; i < mask.tissue.size(); ++i) {
    const double saturation = looks.saturation[i] / 255.0;
    const auto density = static_cast<double>(looks.density[i]);
    const bool stained = saturation > rule.saturation && density >= config.min_density;
    const bool pale = saturation > config.min_saturation && density >= dense;
    mask.tissue[i] = (stained || pale) && !mask.black[i] && !mask.pen[i];
  }
  settle_pieces(mask, mpp, config);
  return mask;
}

double TissueMask::share(const std::vector<uint8_t>& plane, double x, double y, double rect_width,
                         double rect_height) const {
  const double left = x / scale_x, right = (x + rect_width) / scale_x;
  const double top = y / scale_y, bottom = (y + rect_height) / scale_y;
  const auto clip = [](double v, int64_t n) { return std::clamp(v, 0.0, static_cast<double>(n)); };
  const double from_x = clip(left, width), to_x = clip(right, width);
  const double from_y = clip(top, height), to_y = clip(bottom, height);
  if (!(from_x < to_x) || !(from_y < to_y)) return 0;
  // Whole columns [first, last) and, on either side, a part of one.
  const auto first = static_cast<int64_t>(std::ceil(from_x));
  const auto last = static_cast<int64_t>(std::floor(to_x));
  double sum = 0;
  for (auto j = static_cast<int64_t>(from_y); static_cast<double>(j) < to_y; ++j) {
    const uint8_t* row = plane.data() + j * width;
    double across = 0;
    if (first > last) {  // within one column
      across = row[last] * (to_x - from_x);
    } else {
      int64_t whole = 0;
      for (int64_t i = first; i < last; ++i) whole += row[i];
      across = static_cast<double>(whole);
      if (from_x < static_cast<double>(first))
        across += row[first - 1] * (static_cast<double>(first) - from_x);
      if (static_cast<double>(last) < to_x)
        across += row[last] * (to_x - static_cast<double>(last));
    }
    const auto v = static_cast<double>(j);
    sum += across * (std::min(to_y, v + 1) - std::max(from_y, v));
  }
  return sum / ((right - left) * (bottom - top));
}

}  // namespace stylescope
