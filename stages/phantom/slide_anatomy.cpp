#include "stages/phantom/slide_anatomy.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>

namespace stylescope {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

// Numbers of one slide, in a fixed order a purpose.
class Dice {
 public:
  Dice(uint64_t seed, std::string_view purpose, int64_t slide, int64_t round = 0)
      : seed_(hash_key({seed, purpose, slide}, round)) {}
  double between(double low, double high) {
    const uint64_t bits = hash_key({seed_, "phantom.slide", 0}, next_++);
    return low + (high - low) * static_cast<double>(bits >> 11) * 0x1.0p-53;
  }
  bool chance(double probability) { return between(0, 1) < probability; }

 private:
  uint64_t seed_;
  int64_t next_ = 0;
};

struct Box {
  double left, top, right, bottom;
  double width() const { return right - left; }
  double height() const { return bottom - top; }
};

// An ellipse with semi-axes `a` and `b`, turned, with waves of 2 to `waves` periods a turn laid on.
Blob draw_blob(Dice& dice, double a, double b, double turn, double roughness, int waves) {
  std::vector<double> radii(Blob::kDirections, 1.0), phases, heights;
  for (int k = 2; k <= waves; ++k) {
    phases.push_back(dice.between(0, kTurn));
    heights.push_back(roughness * dice.between(0.3, 1) / k);
  }
  for (size_t i = 0; i < radii.size(); ++i) {
    const double angle = kTurn * static_cast<double>(i) / static_cast<double>(radii.size());
    for (size_t k = 0; k < phases.size(); ++k)
      radii[i] += heights[k] * std::cos(static_cast<double>(k + 2) * angle + phases[k]);
    radii[i] *= a * b / std::hypot(b * std::cos(angle - turn), a * std::sin(angle - turn));
  }
  return {0, 0, radii};
}

Box bounds(const Ring& ring) {
  Box box{ring[0].x, ring[0].y, ring[0].x, ring[0].y};
  for (const auto& point : ring) {
    box.left = std::min(box.left, point.x), box.right = std::max(box.right, point.x);
    box.top = std::min(box.top, point.y), box.bottom = std::max(box.bottom, point.y);
  }
  return box;
}

// A piece of tissue as large as the box allows.
Blob draw_piece(Dice& dice, const Box& box) {
  const double aspect = std::clamp(box.width() / box.height(), 0.6, 1.7) * dice.between(0.85, 1.15);
  const Blob blob = draw_blob(dice, aspect, 1, dice.between(-0.3, 0.3), 0.3, 12);
  const Box own = bounds(blob.ring());
  const double factor = std::min(box.width() / own.width(), box.height() / own.height());
  const Blob piece = blob.scaled(factor);
  return piece.moved_to((box.left + box.right) / 2 - factor * (own.left + own.right) / 2,
                        (box.top + box.bottom) / 2 - factor * (own.top + own.bottom) / 2);
}

std::vector<Blob> draw_tissue(Dice dice, const Box& slide) {
  const double margin_x = slide.width() * dice.between(0.09, 0.13);
  const double margin_y = slide.height() * dice.between(0.09, 0.13);
  const Box inner{slide.left + margin_x, slide.top + margin_y, slide.right - margin_x,
                  slide.bottom - margin_y};
  if (!dice.chance(0.4)) return {draw_piece(dice, inner)};
  const double cut = dice.between(0.44, 0.56), gap = 0.03;
  Box first = inner, second = inner;
  if (inner.width() >= inner.height()) {
    first.right = inner.left + (cut - gap) * inner.width();
    second.left = inner.left + (cut + gap) * inner.width();
  } else {
    first.bottom = inner.top + (cut - gap) * inner.height();
    second.top = inner.top + (cut + gap) * inner.height();
  }
  return {draw_piece(dice, first), draw_piece(dice, second)};
}

// At least `gap` inside (sign 1) or outside (sign -1), tried at every sixth point of its ring.
bool ring_lies(const Blob& blob, const Blob& other, double gap, double sign) {
  const Ring ring = blob.ring();
  for (size_t i = 0; i < ring.size(); i += 6)
    if (sign * other.depth(ring[i].x, ring[i].y, 2 * gap) < gap) return false;
  return true;
}

bool apart(const Blob& a, const Blob& b, double gap) {
  return ring_lies(a, b, gap, -1) && ring_lies(b, a, gap, -1);
}

// Somewhere inside of `piece` and apart from `taken`; nothing when no place was found.
std::optional<Blob> place(Dice& dice, const Blob& blob, const Blob& piece,
                          const std::vector<Blob>& taken, double gap) {
  for (int attempt = 0; attempt < 300; ++attempt) {
    const double angle = dice.between(0, kTurn);
    const double away = piece.outer_radius() * std::sqrt(dice.between(0, 1));
    const Blob moved =
        blob.moved_to(piece.x() + away * std::cos(angle), piece.y() + away * std::sin(angle));
    if (ring_lies(moved, piece, gap, 1) &&
        std::all_of(taken.begin(), taken.end(),
                    [&](const Blob& other) { return apart(moved, other, gap); }))
      return moved;
  }
  return std::nullopt;
}

Blob sized(const Blob& blob, double area) { return blob.scaled(std::sqrt(area / blob.area())); }

double total_area(const std::vector<Blob>& blobs) {
  double sum = 0;
  for (const auto& blob : blobs) sum += blob.area();
  return sum;
}

// One to three regions that take `share` of the tissue; nothing when they do not fit.
std::vector<Blob> try_tumours(Dice& dice, const std::vector<Blob>& tissue, double share,
                              double gap) {
  const auto pieces = static_cast<int64_t>(tissue.size());
  const auto count = std::max(pieces, static_cast<int64_t>(dice.between(1, 4)));
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    // Regions are dealt to the pieces in turn; a piece's own size decides how large they are.
    weights.push_back(dice.between(0.7, 1.3) * tissue[static_cast<size_t>(i % pieces)].area() /
                      static_cast<double>((count - i % pieces + pieces - 1) / pieces));
    sum += weights.back();
  }
  std::vector<Blob> tumours;
  for (int64_t i = 0; i < count; ++i) {
    const Blob shape = draw_blob(dice, dice.between(0.8, 1.4), 1, dice.between(0, kTurn), 0.35, 9);
    const Blob blob =
        sized(shape, share * total_area(tissue) * weights[static_cast<size_t>(i)] / sum);
    const auto placed = place(dice, blob, tissue[static_cast<size_t>(i % pieces)], tumours, gap);
    if (!placed) return {};
    tumours.push_back(*placed);
  }
  return tumours;
}

std::vector<Blob> draw_tumours(uint64_t seed, int64_t slide, const std::vector<Blob>& tissue,
                               double gap) {
  double share = Dice(seed, "phantom.slide.share", slide).between(0.18, 0.31);
  for (int64_t round = 0; round < 100; ++round, share *= 0.97) {
    Dice dice(seed, "phantom.slide.tumours", slide, round);
    auto tumours = try_tumours(dice, tissue, share, gap);
    if (!tumours.empty()) return tumours;
  }
  SS_CHECK(false, "no place for a tumour on slide ", slide);
  return {};
}

// An island within the largest tumour, on some slides.
std::vector<Blob> draw_islands(Dice dice, const std::vector<Blob>& tumours) {
  if (tumours.empty() || !dice.chance(0.4)) return {};
  const auto& host =
      *std::max_element(tumours.begin(), tumours.end(),
                        [](const Blob& a, const Blob& b) { return a.area() < b.area(); });
  const Blob shape = draw_blob(dice, dice.between(0.8, 1.3), 1, dice.between(0, kTurn), 0.25, 6);
  return {sized(shape, host.area() * dice.between(0.06, 0.12)).moved_to(host.x(), host.y())};
}

std::vector<Blob> draw_fat(Dice dice, const std::vector<Blob>& tissue,
                           const std::vector<Blob>& tumours, double gap) {
  std::vector<Blob> taken = tumours, fat;
  for (const auto& piece : tissue) {
    const auto count = static_cast<int64_t>(dice.between(1, 4));
    for (int64_t i = 0; i < count; ++i) {
      const Blob shape = draw_blob(dice, dice.between(0.7, 1.4), 1, dice.between(0, kTurn), 0.3, 7);
      const Blob blob = sized(shape, piece.area() * dice.between(0.008, 0.03));
      if (const auto placed = place(dice, blob, piece, taken, gap)) {
        taken.push_back(*placed);
        fat.push_back(*placed);
      }
    }
  }
  return fat;
}

// From glass beside the slide's first piece over its edge into the tissue and out again: a
// quadratic Bezier curve.
std::optional<PenStroke> draw_pen(Dice dice, const std::vector<Blob>& tissue, const Box& slide) {
  if (!dice.chance(1.0 / 3)) return std::nullopt;
  const bool green = dice.chance(0.5);
  const Blob& piece = tissue.front();
  const double middle = dice.between(0, kTurn), half = dice.between(0.5, 0.9);
  const auto point = [&](double angle, double depth) {
    // The point of the ring in this direction, brought in or out.
    const auto at = static_cast<size_t>(std::fmod(angle + 2 * kTurn, kTurn) / kTurn *
                                        static_cast<double>(Blob::kDirections));
    const Point edge = piece.ring()[std::min<size_t>(at, Blob::kDirections - 1)];
    return Point{piece.x() + depth * (edge.x - piece.x()),
                 piece.y() + depth * (edge.y - piece.y())};
  };
  const Point a = point(middle - half, 1.3), b = point(middle, dice.between(0.55, 0.75)),
              c = point(middle + half, 1.25);
  PenStroke pen;
  for (int i = 0; i <= 40; ++i) {
    const double t = i / 40.0, s = 1 - t;
    pen.path.push_back(
        {s * s * a.x + 2 * s * t * b.x + t * t * c.x, s * s * a.y + 2 * s * t * b.y + t * t * c.y});
  }
  pen.half_width = std::max(12.0, 0.013 * std::min(slide.width(), slide.height()));
  pen.density =
      green ? std::array<float, 3>{1.25F, 0.38F, 0.85F} : std::array<float, 3>{1.45F, 0.95F, 0.3F};
  return pen;
}

void black_edge(Dice dice, SlideAnatomy& anatomy) {
  if (!dice.chance(0.25)) return;
  const double share = dice.between(0.02, 0.06);
  const auto across = static_cast<int64_t>(share * static_cast<double>(anatomy.right));
  const auto down = static_cast<int64_t>(share * static_cast<double>(anatomy.bottom));
  switch (static_cast<int>(dice.between(0, 4))) {
    case 0:
      anatomy.left += across;
      break;
    case 1:
      anatomy.right -= across;
      break;
    case 2:
      anatomy.top += down;
      break;
    default:
      anatomy.bottom -= down;
  }
}

SlideStain draw_stain(Dice dice) {
  SlideStain stain;
  stain.haematoxylin = dice.between(0.75, 1.25);
  stain.eosin = dice.between(0.75, 1.25);
  stain.noise = dice.between(1, 3);
  return stain;
}

}  // namespace

Blob::Blob(double x, double y, std::vector<double> radii)
    : x_(x),
      y_(y),
      inner_(*std::min_element(radii.begin(), radii.end())),
      outer_(*std::max_element(radii.begin(), radii.end())),
      radii_(std::move(radii)) {}

double Blob::depth(double x, double y, double reach) const {
  const double dx = x - x_, dy = y - y_, away = std::hypot(dx, dy);
  if (away <= inner_ - reach) return reach;
  if (away >= outer_ + reach) return -reach;
  const double turn = std::atan2(dy, dx) / kTurn;
  const double at = (turn - std::floor(turn)) * static_cast<double>(radii_.size());
  const auto i = std::min(static_cast<size_t>(at), radii_.size() - 1);
  const double next = radii_[(i + 1) % radii_.size()];
  const double radius = radii_[i] + (at - static_cast<double>(i)) * (next - radii_[i]);
  return std::clamp(radius - away, -reach, reach);
}

Ring Blob::ring() const {
  Ring ring;
  for (size_t i = 0; i < radii_.size(); ++i) {
    const double angle = kTurn * static_cast<double>(i) / static_cast<double>(radii_.size());
    ring.push_back({x_ + radii_[i] * std::cos(angle), y_ + radii_[i] * std::sin(angle)});
  }
  return ring;
}

double Blob::area() const {
  double twice = 0;
  const double sine = std::sin(kTurn / static_cast<double>(radii_.size()));
  for (size_t i = 0; i < radii_.size(); ++i)
    twice += radii_[i] * radii_[(i + 1) % radii_.size()] * sine;
  return twice / 2;
}

Blob Blob::scaled(double factor) const {
  auto radii = radii_;
  for (auto& radius : radii) radius *= factor;
  return {x_, y_, std::move(radii)};
}

Blob Blob::moved_to(double x, double y) const { return {x, y, radii_}; }

double depth_in(const std::vector<Blob>& blobs, double x, double y, double reach) {
  double deepest = -reach;
  for (const auto& blob : blobs) deepest = std::max(deepest, blob.depth(x, y, reach));
  return deepest;
}

SlideAnatomy make_anatomy(const SlidePhantomConfig& config, uint64_t seed, int64_t slide) {
  SS_CHECK(config.width >= 256 && config.height >= 256, config.width, " x ", config.height);
  SS_CHECK(config.mpp >= 0.1 && config.mpp <= 4, config.mpp);
  const Box box{0, 0, static_cast<double>(config.width), static_cast<double>(config.height)};
  const double gap = std::min(20 / config.mpp, 0.01 * std::min(box.width(), box.height()));
  SlideAnatomy anatomy;
  anatomy.tissue = draw_tissue(Dice(seed, "phantom.slide.tissue", slide), box);
  if (slide % 2 == 1) anatomy.tumour = draw_tumours(seed, slide, anatomy.tissue, gap);
  anatomy.islands = draw_islands(Dice(seed, "phantom.slide.islands", slide), anatomy.tumour);
  anatomy.fat =
      draw_fat(Dice(seed, "phantom.slide.fat", slide), anatomy.tissue, anatomy.tumour, gap);
  anatomy.stain = draw_stain(Dice(seed, "phantom.slide.stain", slide));
  Dice dice(seed, "phantom.slide.look", slide);
  const double level = dice.between(240, 246);
  for (auto& channel : anatomy.glass) channel = static_cast<float>(level + dice.between(-2, 2));
  anatomy.fibre_angle = dice.between(0, std::numbers::pi);
  anatomy.key = static_cast<uint32_t>(hash_key({seed, "phantom.slide.cells", slide}));
  if (config.pen)
    anatomy.pen = draw_pen(Dice(seed, "phantom.slide.pen", slide), anatomy.tissue, box);
  anatomy.right = config.width, anatomy.bottom = config.height;
  if (config.black_padding) black_edge(Dice(seed, "phantom.slide.padding", slide), anatomy);
  return anatomy;
}

}  // namespace stylescope
