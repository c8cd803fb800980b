#include "stages/phantom/slide_nuclei.hpp"

#include "stages/phantom/tissue_look.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

// Micrometres.
constexpr float kSmallPitch = 8.3F, kLargePitch = 16;
constexpr float kBlur = 0.55F;       // of the optics
constexpr float kChromatin = 1.2F;   // size of its grains
constexpr float kNucleolus = 1.7F;   // radius
constexpr float kCytoplasm = 10.5F;  // radius

// Keys of the lattices.
constexpr uint32_t kSmallCells = 0x51A11U, kLargeCells = 0x1A46EU;

// Lengths in pixels from the block's first one.
struct Nucleus {
  float x, y;
  float a, b, cosine, sine;  // semi-axes, and the direction of `a`
  float density;             // of its darkest parts
  bool large;
  float spot_x, spot_y;  // of the nucleolus
  uint32_t key;
};

// A number of a cell, 0..1, each with an index of its own.
float draw(uint32_t cell, uint32_t index) {
  return unit_float(mix_bits(cell + index * 0x9E3779B9U));
}
float between(float low, float high, float u) { return low + (high - low) * u; }

struct Window {
  int64_t left, top, right, bottom;
};

Window window(float x, float y, float radius) {
  const auto limit = [](float v) {
    return std::clamp<int64_t>(static_cast<int64_t>(std::floor(v)), 0, kBlock);
  };
  return {limit(x - radius), limit(y - radius), limit(x + radius + 1), limit(y + radius + 1)};
}

STYLESCOPE_SIMD void stamp_nucleus(const Nucleus& n, float mpp, StainCanvas& canvas) {
  const float blur = std::max(kBlur / mpp, 0.6F);
  const float sharpness = std::sqrt(n.a * n.b) / (2 * blur);
  const float grains = mpp / kChromatin, spot = 1 / std::max(kNucleolus / mpp, 0.5F);
  const Window w = window(n.x, n.y, std::max(n.a, n.b) + 2 * blur);
  const float along = n.cosine / n.a, along_y = n.sine / n.a;
  const float across = -n.sine / n.b, across_y = n.cosine / n.b;
  const float pale = n.large ? 1.0F : 0.0F;
  for (int64_t row = w.top; row < w.bottom; ++row) {
    float* haematoxylin = canvas.haematoxylin.data() + row * kBlock;
    float* eosin = canvas.eosin.data() + row * kBlock;
    const float dy = static_cast<float>(row) + 0.5F - n.y;
    for (int64_t column = w.left; column < w.right; ++column) {
      const float dx = static_cast<float>(static_cast<int32_t>(column)) + 0.5F - n.x;
      const float p = dx * along + dy * along_y, q = dx * across + dy * across_y;
      const float squared = p * p + q * q;
      const float cover = clamp_unit((1 - squared) * sharpness + 0.5F);
      const float chromatin = value_noise(dx * grains, dy * grains, n.key) - 0.5F;
      const float sx = (dx - n.spot_x) * spot, sy = (dy - n.spot_y) * spot;
      const float nucleolus = pale * clamp_unit(1.7F - 1.2F * (sx * sx + sy * sy));
      const float dark = 0.9F + 0.35F * chromatin;
      const float clear = 0.40F + 0.22F * squared * squared + 0.40F * chromatin;
      const float body = dark + pale * (clear - dark);
      const float density = n.density * (body + nucleolus * (1 - body));
      const float more = density - haematoxylin[column];
      haematoxylin[column] += cover * (more > 0 ? more : 0);
      eosin[column] -= 0.5F * cover * eosin[column];
    }
  }
}

// A tumour cell's cytoplasm: a soft disc, each a little more or less pink.
STYLESCOPE_SIMD void stamp_cytoplasm(float x, float y, float radius, float change,
                                     StainCanvas& canvas) {
  const Window w = window(x, y, radius);
  const float scale = 1 / (radius * radius);
  for (int64_t row = w.top; row < w.bottom; ++row) {
    float* eosin = canvas.eosin.data() + row * kBlock;
    const float dy = static_cast<float>(row) + 0.5F - y;
    for (int64_t column = w.left; column < w.right; ++column) {
      const float dx = static_cast<float>(static_cast<int32_t>(column)) + 0.5F - x;
      const float inside = clamp_unit(2 - 2 * (dx * dx + dy * dy) * scale);
      eosin[column] *= 1 + change * inside;
    }
  }
}

// Visits the cells of a jittered lattice, every other row moved by half a step, whose centres lie
// within `reach` pixels of the block: visit(x, y, hash), x and y from the block's first pixel.
template <class Visit>
void visit_lattice(float pitch, float jitter, uint32_t key, int64_t x, int64_t y, float reach,
                   const Visit& visit) {
  const double step = pitch;
  const auto first = [&](int64_t from) {
    return static_cast<int32_t>(std::floor((static_cast<double>(from) - reach) / step)) - 1;
  };
  const auto last = [&](int64_t from) {
    return static_cast<int32_t>(std::floor((static_cast<double>(from + kBlock) + reach) / step)) +
           1;
  };
  for (int32_t j = first(y); j <= last(y); ++j) {
    for (int32_t i = first(x); i <= last(x); ++i) {
      const uint32_t hash = cell_hash(i, j, key);
      const double u = i + (j & 1) * 0.5 + 0.5 + jitter * (draw(hash, 0) - 0.5);
      const double v = j + 0.5 + jitter * (draw(hash, 1) - 0.5);
      const auto cx = static_cast<float>(u * step - static_cast<double>(x)),
                 cy = static_cast<float>(v * step - static_cast<double>(y));
      if (cx < -reach || cy < -reach || cx > kBlock + reach || cy > kBlock + reach) continue;
      visit(cx, cy, hash);
    }
  }
}

void set_direction(Nucleus& nucleus, float angle) {
  nucleus.cosine = std::cos(angle);
  nucleus.sine = std::sin(angle);
}

// How much stroma there is at a point.
float stroma_at(const TissueFields& fields, float x, float y, bool in_tumour, float mpp) {
  const float capsule =
      clamp_unit(1.5F - fields.at(TissueFields::tissue, x, y) * mpp / tissue::kCapsule);
  const float inner = in_tumour ? tissue::septum_share(fields.at(TissueFields::septum, x, y))
                                : tissue::trabecula_share(fields.at(TissueFields::trabecula, x, y));
  return std::max(capsule, inner);
}

void draw_large(const SlideAnatomy& anatomy, const TissueFields& fields, float mpp, int64_t x,
                int64_t y, StainCanvas& canvas) {
  const auto visit = [&](float cx, float cy, uint32_t cell) {
    if (fields.at(TissueFields::tumour, cx, cy) <= 0) return;
    if (draw(cell, 2) > 0.96F - 0.9F * stroma_at(fields, cx, cy, true, mpp)) return;
    Nucleus n{};
    n.x = cx, n.y = cy, n.large = true, n.key = cell;
    const float radius = tissue::kLargeRadius * between(0.8F, 1.2F, draw(cell, 3)) / mpp;
    const float aspect = std::sqrt(between(1.1F, 1.55F, draw(cell, 4)));
    n.a = radius * aspect, n.b = radius / aspect;
    set_direction(n, between(0, 3.1416F, draw(cell, 5)));
    n.density = between(1.15F, 1.4F, draw(cell, 6));
    n.spot_x = between(-0.3F, 0.3F, draw(cell, 7)) * radius;
    n.spot_y = between(-0.3F, 0.3F, draw(cell, 8)) * radius;
    stamp_cytoplasm(cx, cy, kCytoplasm / mpp, between(-0.12F, 0.22F, draw(cell, 9)), canvas);
    stamp_nucleus(n, mpp, canvas);
  };
  visit_lattice(kLargePitch / mpp, 0.5F, anatomy.key + kLargeCells, x, y, fields.margin(), visit);
}

// The share of the lattice's cells that are there.
float small_share(bool in_tumour, float stroma, float patch) {
  if (in_tumour) return 0.025F + 0.3F * stroma;
  // Follicles and sinuses: in patches the cells lie a little less densely.
  const float thin = 0.25F * clamp_unit(1.5F * patch);
  return 0.96F - thin - 0.62F * stroma;
}

void draw_small(const SlideAnatomy& anatomy, const TissueFields& fields, float mpp, int64_t x,
                int64_t y, StainCanvas& canvas) {
  const auto visit = [&](float cx, float cy, uint32_t cell) {
    if (fields.at(TissueFields::tissue, cx, cy) * mpp < tissue::kSmallRadius) return;
    if (fields.at(TissueFields::fat, cx, cy) * mpp > -tissue::kSmallRadius) return;
    const bool in_tumour = fields.at(TissueFields::tumour, cx, cy) > 0;
    const float stroma = stroma_at(fields, cx, cy, in_tumour, mpp);
    const float patch = fields.at(TissueFields::patch, cx, cy);
    if (draw(cell, 2) > small_share(in_tumour, stroma, patch)) return;
    Nucleus n{};
    n.x = cx, n.y = cy, n.key = cell;
    const bool spindle = draw(cell, 7) < 0.75F * stroma;
    const float radius = tissue::kSmallRadius * between(0.86F, 1.14F, draw(cell, 3)) / mpp;
    const float aspect =
        std::sqrt(spindle ? between(2.2F, 3.6F, draw(cell, 4)) : between(1, 1.25F, draw(cell, 4)));
    n.a = radius * aspect, n.b = (spindle ? 0.8F : 1) * radius / aspect;
    const float turn = spindle ? static_cast<float>(anatomy.fibre_angle) : 0;
    set_direction(n, turn + between(0, spindle ? 0.5F : 3.1416F, draw(cell, 5)));
    n.density = (spindle ? 0.8F : 1) * between(1.15F, 1.4F, draw(cell, 6));
    stamp_nucleus(n, mpp, canvas);
  };
  visit_lattice(kSmallPitch / mpp, 0.62F, anatomy.key + kSmallCells, x, y, fields.margin(), visit);
}

}  // namespace

void draw_cells(const SlideAnatomy& anatomy, const TissueFields& fields, double mpp, int64_t x,
                int64_t y, StainCanvas& canvas) {
  const auto scale = static_cast<float>(mpp);
  if (fields.highest(TissueFields::tumour) > 0) draw_large(anatomy, fields, scale, x, y, canvas);
  draw_small(anatomy, fields, scale, x, y, canvas);
}

}  // namespace stylescope
