#include "stages/tile/overview.hpp"

#include "io/picture.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include <opencv2/imgproc.hpp>

namespace stylescope {
namespace {

constexpr int kMostPixels = 2000, kLeastPixels = 640;
constexpr int kLegendRow = 22;

struct Colour {
  const char* name;
  cv::Scalar rgb;
  bool filled;
};
// By TileFate; positive tiles have a colour of their own.
const std::array<Colour, kTileFates> kColours{{{"kept, negative", {40, 160, 60}, true},
                                               {"no tissue", {205, 205, 205}, false},
                                               {"ambiguous label", {150, 60, 200}, true},
                                               {"unreadable", {0, 0, 0}, true},
                                               {"white", {120, 200, 240}, true},
                                               {"black", {60, 60, 60}, true},
                                               {"pen", {0, 110, 255}, true},
                                               {"blurred", {240, 150, 20}, true},
                                               {"not sampled", {150, 200, 150}, false}}};
const cv::Scalar kTissueLine{30, 80, 220}, kOutlineLine{250, 210, 0};
const Colour kPositive{"kept, positive", {220, 30, 40}, true};

class Overview {
 public:
  explicit Overview(const SlidePlan& plan) : plan_(plan) {
    const auto& mask = plan.mask;
    const cv::Mat small(static_cast<int>(mask.height), static_cast<int>(mask.width), CV_8UC3,
                        const_cast<uint8_t*>(plan.picture.data()));
    const int longest = std::max(small.cols, small.rows);
    const double zoom =
        static_cast<double>(std::clamp(longest, kLeastPixels, kMostPixels)) / longest;
    cv::resize(small, picture_, {}, zoom, zoom, zoom < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
    scale_x_ = zoom / mask.scale_x;
    scale_y_ = zoom / mask.scale_y;
  }

  cv::Mat draw(const std::string& name) {
    cv::Mat filled = picture_.clone();
    for (const auto& place : plan_.places)
      if (colour_of(place).filled)
        cv::rectangle(filled, box(place), colour_of(place).rgb, cv::FILLED);
    cv::addWeighted(filled, 0.35, picture_, 0.65, 0, picture_);
    // Few large tiles have edges to see; many small ones would hide the slide.
    if (plan_.grid.tile_x * scale_x_ >= 5)
      for (const auto& place : plan_.places)
        cv::rectangle(picture_, box(place), colour_of(place).rgb, 1);
    outline(outlines_of(plan_.mask), kTissueLine);
    outline(plan_.outlines, kOutlineLine);
    return with_legend(name);
  }

 private:
  static const Colour& colour_of(const TilePlace& place) {
    if (place.fate == TileFate::kept && place.label > 0) return kPositive;
    return kColours[static_cast<size_t>(place.fate)];
  }
  cv::Point at(double x, double y) const {
    return {static_cast<int>(std::lround(x * scale_x_)),
            static_cast<int>(std::lround(y * scale_y_))};
  }
  cv::Rect box(const TilePlace& place) const {
    return {at(place.x, place.y), at(place.x + plan_.grid.tile_x, place.y + plan_.grid.tile_y)};
  }
  void outline(const std::vector<Shape>& shapes, const cv::Scalar& rgb) {
    std::vector<std::vector<cv::Point>> rings;
    const auto add = [&](const Ring& ring) {
      auto& points = rings.emplace_back();
      for (const auto& point : ring) points.push_back(at(point.x, point.y));
    };
    for (const auto& shape : shapes) {
      add(shape.outer);
      for (const auto& hole : shape.holes) add(hole);
    }
    cv::polylines(picture_, rings, true, rgb, 2, cv::LINE_AA);
  }

  cv::Mat with_legend(const std::string& name) const {
    std::vector<std::pair<const Colour*, int64_t>> lines;
    const auto count = [&](const Colour& colour) {
      const auto n = std::count_if(plan_.places.begin(), plan_.places.end(),
                                   [&](const auto& place) { return &colour_of(place) == &colour; });
      if (n > 0) lines.emplace_back(&colour, n);
    };
    count(kPositive);
    for (const auto& colour : kColours) count(colour);
    const int rows = static_cast<int>(lines.size()) + 3;
    cv::Mat page(picture_.rows + rows * kLegendRow + 8, std::max(picture_.cols, 640), CV_8UC3,
                 cv::Scalar(255, 255, 255));
    picture_.copyTo(page(cv::Rect(0, 0, picture_.cols, picture_.rows)));
    int y = picture_.rows + kLegendRow - 4;
    const auto write = [&](const std::string& text, int x) {
      cv::putText(page, text, {x, y}, cv::FONT_HERSHEY_SIMPLEX, 0.5, {20, 20, 20}, 1, cv::LINE_AA);
    };
    write(name, 8);
    y += kLegendRow;
    char scale[160];
    std::snprintf(scale, sizeof scale, "%.4g um/px (%s); tiles of %.4g um/px, %.1f um across",
                  plan_.mpp.x, plan_.mpp.source.c_str(), plan_.tile_mpp_x,
                  plan_.grid.tile_x * plan_.mpp.x);
    write(scale, 8);
    y += kLegendRow;
    cv::line(page, {8, y - 5}, {30, y - 5}, kTissueLine, 2);
    write("tissue", 40);
    cv::line(page, {130, y - 5}, {152, y - 5}, kOutlineLine, 2);
    write("annotation", 162);
    for (const auto& [colour, n] : lines) {
      y += kLegendRow;
      cv::rectangle(page, {8, y - 12, 22, 14}, colour->rgb, colour->filled ? cv::FILLED : 2);
      write(std::string(colour->name) + ": " + std::to_string(n), 40);
    }
    return page;
  }

  const SlidePlan& plan_;
  cv::Mat picture_;
  double scale_x_ = 1, scale_y_ = 1;
};

}  // namespace

void write_overview(const std::filesystem::path& file, const SlidePlan& plan,
                    const std::string& name) {
  const cv::Mat page = Overview(plan).draw(name);
  const auto rgb = torch::from_blob(page.data, {page.rows, page.cols, 3}, torch::kUInt8);
  write_png(file, rgb.permute({2, 0, 1}).contiguous());
}

}  // namespace stylescope
