#include "stages/tile/slide_labels.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace stylescope {
namespace {

// Samples of a mask along a tile's side that are enough for its covered share.
constexpr double kMaskSamples = 64;

// Masks are made at the slide's scale, or smaller by a whole factor, and then padded to whole
// tiles: what is within 5 % of such a scale is that scale.
double mask_scale(double ratio) {
  const double factor = std::max(1.0, std::round(1 / ratio));
  return std::abs(ratio * factor - 1) < 0.05 ? 1 / factor : ratio;
}

}  // namespace

SlideLabels::SlideLabels(const ListedSlide& listed, const Slide& slide, const TileConfig& config)
    : config_(config) {
  if (config.labels.from == "slides") {
    slide_label_ = listed.label;
    return;
  }
  if (listed.annotation.empty()) return;
  if (config.labels.from == "masks") {
    open_mask(listed, slide);
    return;
  }
  auto set = read_annotations(listed.annotation);
  shapes_ = std::move(set.shapes);
  problems_ = std::move(set.problems);
  coverage_ = std::make_unique<Coverage>(
      shapes_, AnnotationGroups{config.labels.positive, config.labels.exclusion});
  // Outlines that are there and count for nothing would make a tumour's tiles negative.
  if (coverage_->empty() && (listed.label > 0 || !shapes_.empty() || !problems_.empty()))
    fail_without_positive(listed);
  for (const auto& group : coverage_->unknown_groups())
    problems_.push_back("group '" + group +
                        "' is neither in labels.positive nor in labels.exclusion: passed over");
  const auto& level = slide.levels().front();
  for (auto& sentence : coverage_->outside(level.width, level.height))
    problems_.push_back(std::move(sentence));
}

void SlideLabels::fail_without_positive(const ListedSlide& listed) const {
  std::set<std::string> groups;
  for (const auto& shape : shapes_) groups.insert("'" + shape.group + "'");
  std::string found;
  for (const auto& group : groups) found += (found.empty() ? "" : ", ") + group;
  throw Error(detail::concatenate(
      listed.annotation.string(),
      ": has no outline of a positive group (its groups: ", found.empty() ? "none" : found,
      "); name the positive ones in tile.labels.positive, or, where the slide is normal, take the "
      "file away"));
}

void SlideLabels::open_mask(const ListedSlide& listed, const Slide& slide) {
  mask_ = open_slide(listed.annotation);
  const auto& own = slide.levels().front();
  const auto& mask = mask_->levels().front();
  mask_x_ = mask_scale(static_cast<double>(mask.width) / static_cast<double>(own.width));
  mask_y_ = mask_scale(static_cast<double>(mask.height) / static_cast<double>(own.height));
  validate(std::abs(mask_x_ / mask_y_ - 1) < 0.02, listed.annotation.string(), ": is ", mask.width,
           " x ", mask.height, " pixels, another shape than the slide's ", own.width, " x ",
           own.height, " (a mask of another slide?); give the mask that belongs to it");
}

SlideLabels::Answer SlideLabels::of(double x, double y, const TileGrid& grid, double border) const {
  Answer answer;
  if (slide_label_ >= 0) {
    answer.label = slide_label_;
    answer.positive = std::numeric_limits<double>::quiet_NaN();
    return answer;
  }
  const auto& labels = config_.labels;
  answer.positive = covered(x, y, grid.tile_x, grid.tile_y);
  if (labels.rule == "centre") {
    const double share =
        static_cast<double>(labels.centre_px) / static_cast<double>(config_.tile_px);
    const double width = share * grid.tile_x, height = share * grid.tile_y;
    answer.label =
        covered(x + (grid.tile_x - width) / 2, y + (grid.tile_y - height) / 2, width, height) > 0;
  } else if (answer.positive >= labels.min_positive) {
    answer.label = 1;
  } else if (answer.positive <= labels.max_negative) {
    answer.label = 0;
  }
  answer.near_border = answer.label == 0 && border > 0 && coverage_ &&
                       coverage_->near_border(x, y, grid.tile_x, grid.tile_y, border);
  return answer;
}

double SlideLabels::covered(double x, double y, double width, double height) const {
  if (coverage_) return coverage_->covered(x, y, width, height);
  return mask_ ? masked(x, y, width, height) : 0;
}

double SlideLabels::masked(double x, double y, double width, double height) const {
  const double wanted = std::max(1.0, std::min(width * mask_x_, height * mask_y_) / kMaskSamples);
  const int64_t level = best_level(*mask_, wanted);
  const double down = mask_->levels()[static_cast<size_t>(level)].downsample;
  const auto begin_x = static_cast<int64_t>(std::floor(x * mask_x_ / down + 1e-6));
  const auto begin_y = static_cast<int64_t>(std::floor(y * mask_y_ / down + 1e-6));
  const auto end_x = static_cast<int64_t>(std::ceil((x + width) * mask_x_ / down - 1e-6));
  const auto end_y = static_cast<int64_t>(std::ceil((y + height) * mask_y_ / down - 1e-6));
  const int64_t w = std::max<int64_t>(1, end_x - begin_x),
                h = std::max<int64_t>(1, end_y - begin_y);
  std::vector<uint8_t> pixels(static_cast<size_t>(3 * w * h));
  mask_->read(level, begin_x, begin_y, w, h, pixels.data(), 3 * w);
  // Background beyond a mask's edge is white in OpenSlide's answer: it is no label.
  const auto& size = mask_->levels()[static_cast<size_t>(level)];
  int64_t positive = 0;
  for (int64_t row = 0; row < h; ++row)
    for (int64_t column = 0; column < w; ++column)
      positive += begin_x + column < size.width && begin_y + row < size.height &&
                  pixels[static_cast<size_t>(3 * (row * w + column))] >= config_.labels.mask_value;
  return static_cast<double>(positive) / static_cast<double>(w * h);
}

}  // namespace stylescope
