#include "stages/phantom/tissue_fields.hpp"

#include "io/base/error.hpp"
#include "stages/phantom/cell_noise.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace stylescope {
namespace {

constexpr double kNodePitch = 8;    // micrometres, about
constexpr double kFieldReach = 50;  // micrometres: depths beyond are cut off

int64_t node_pitch(double mpp) {
  int64_t pitch = 2;
  while (pitch < kBlock && static_cast<double>(pitch) * mpp < 0.75 * kNodePitch) pitch *= 2;
  return pitch;
}

double distance_to_segment(const Point& a, const Point& b, double x, double y) {
  const double dx = b.x - a.x, dy = b.y - a.y, squared = dx * dx + dy * dy;
  const double t = std::clamp(((x - a.x) * dx + (y - a.y) * dy) / squared, 0.0, 1.0);
  return std::hypot(x - a.x - t * dx, y - a.y - t * dy);
}

// How deep in the stroke, pixels; negative outside.
double pen_depth(const PenStroke& pen, double x, double y, double reach) {
  double nearest = std::numeric_limits<double>::max();
  for (size_t i = 1; i < pen.path.size(); ++i)
    nearest = std::min(nearest, distance_to_segment(pen.path[i - 1], pen.path[i], x, y));
  return std::max(pen.half_width - nearest, -reach);
}

}  // namespace

TissueFields::TissueFields(const SlideAnatomy& anatomy, double mpp)
    : plan_(anatomy), mpp_(mpp), reach_(kFieldReach / mpp), pitch_(node_pitch(mpp)) {
  around_ = static_cast<int64_t>(std::ceil(kCellReach / mpp / static_cast<double>(pitch_)));
  side_ = kBlock / pitch_ + 1 + 2 * around_;
  nodes_.assign(kNames, std::vector<float>(static_cast<size_t>(side_ * side_)));
}

float TissueFields::value(Name name, double x, double y) const {
  const auto noise = [&](double period, uint32_t key) {  // micrometres; -1..1
    const double scale = mpp_ / period;
    return 2 * value_noise(static_cast<float>(x * scale), static_cast<float>(y * scale),
                           plan_.key + key) -
           1;
  };
  switch (name) {
    case tissue:
      return static_cast<float>(depth_in(plan_.tissue, x, y, reach_));
    case fat:
      return static_cast<float>(depth_in(plan_.fat, x, y, reach_));
    case tumour:
      return static_cast<float>(
          std::min(depth_in(plan_.tumour, x, y, reach_), -depth_in(plan_.islands, x, y, reach_)));
    case trabecula:
      return 0.7F * noise(150, 1) + 0.3F * noise(47, 2);
    case septum:
      return 0.75F * noise(80, 3) + 0.25F * noise(31, 4);
    case patch:
      return noise(330, 5);
    case warp:
      return 0.7F * noise(110, 6) + 0.3F * noise(37, 7);
    case ink:
      return plan_.pen ? static_cast<float>(pen_depth(*plan_.pen, x, y, reach_))
                       : -static_cast<float>(reach_);
    case kNames:
      break;
  }
  SS_CHECK(false, "no field ", static_cast<size_t>(name));
  return 0;
}

void TissueFields::move_to(int64_t x, int64_t y) {
  for (size_t name = 0; name < kNames; ++name) {
    float* out = nodes_[name].data();
    for (int64_t row = -around_; row < side_ - around_; ++row)
      for (int64_t column = -around_; column < side_ - around_; ++column)
        *out++ = value(static_cast<Name>(name), static_cast<double>(x + column * pitch_),
                       static_cast<double>(y + row * pitch_));
  }
}

float TissueFields::at(Name name, float x, float y) const {
  const float scale = 1.0F / static_cast<float>(pitch_);
  const float u = x * scale + static_cast<float>(around_),
              v = y * scale + static_cast<float>(around_);
  const auto column = std::clamp<int64_t>(static_cast<int64_t>(u), 0, side_ - 2);
  const auto row = std::clamp<int64_t>(static_cast<int64_t>(v), 0, side_ - 2);
  const float* node = nodes(name).data() + row * side_ + column;
  const float s = u - static_cast<float>(column), t = v - static_cast<float>(row);
  const float upper = node[0] + s * (node[1] - node[0]);
  const float lower = node[side_] + s * (node[side_ + 1] - node[side_]);
  return upper + t * (lower - upper);
}

void TissueFields::row(Name name, int64_t y, float* values) const {
  const float step = 1.0F / static_cast<float>(pitch_);
  const int64_t above = y / pitch_;
  const float t = (static_cast<float>(y - above * pitch_) + 0.5F) * step;
  const float* node = nodes(name).data() + (above + around_) * side_ + around_;
  for (int64_t x = 0; x < kBlock; x += pitch_, ++node) {
    const float left = node[0] + t * (node[side_] - node[0]);
    const float right = node[1] + t * (node[side_ + 1] - node[1]);
    for (int64_t i = 0; i < pitch_; ++i)
      values[x + i] = left + (static_cast<float>(i) + 0.5F) * step * (right - left);
  }
}

float TissueFields::highest(Name name) const {
  return *std::max_element(nodes(name).begin(), nodes(name).end());
}

float TissueFields::lowest(Name name) const {
  return *std::min_element(nodes(name).begin(), nodes(name).end());
}

}  // namespace stylescope
