#include "stages/phantom/slide_painter.hpp"

#include "stages/phantom/tissue_look.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace stylescope {
namespace {

// Micrometres.
constexpr float kFibreLength = 22, kFibreWidth = 1.7F, kFine = 1.1F, kMottle = 9;
constexpr float kEdge = 1.2F;     // softness of the tissue's edge
constexpr float kFatCell = 50;    // distance between fat cells
constexpr float kFatWall = 1.1F;  // half its thickness

// Keys of the noises.
constexpr uint32_t kFibres = 0xF1B4EU, kFines = 0xF19EU, kMottles = 0x30771EU, kFatCells = 0xFA7U,
                   kGrain = 0x94A19U, kStreaks = 0x57EA4U;

using Row = std::array<float, kBlock>;

// Everything slow along a row of pixels.
struct FieldRows {
  Row tissue, fat, tumour, trabecula, septum, warp;
};

struct BaseLook {
  float mpp, cosine, sine;
  uint32_t key;
};

// Eosin and haematoxylin of everything but the cells.
STYLESCOPE_SIMD void base_row(const FieldRows& f, const BaseLook& look, int32_t x, int32_t y,
                              float* haematoxylin, float* eosin) {
  const float soft = look.mpp / kEdge, py = (static_cast<float>(y) + 0.5F) * look.mpp;
  for (int32_t i = 0; i < kBlock; ++i) {
    const float px = (static_cast<float>(x + i) + 0.5F) * look.mpp;
    const float inside = clamp_unit(f.tissue[i] * soft + 0.5F);
    const float tumour = clamp_unit(f.tumour[i] * soft * 0.3F + 0.5F);
    const float capsule = clamp_unit(1.5F - f.tissue[i] * look.mpp / tissue::kCapsule);
    const float trabecula = tissue::trabecula_share(f.trabecula[i]);
    const float septum = tissue::septum_share(f.septum[i]);
    const float inner = trabecula + tumour * (septum - trabecula);
    const float stroma = inner > capsule ? inner : capsule;
    const float along = look.cosine * px + look.sine * py;
    const float across = look.cosine * py - look.sine * px + 22 * f.warp[i];
    const float fibre =
        value_noise(along / kFibreLength, across / kFibreWidth, look.key + kFibres) - 0.5F;
    const float fine = value_noise(px / kFine, py / kFine, look.key + kFines) - 0.5F;
    const float mottle = value_noise(px / kMottle, py / kMottle, look.key + kMottles) - 0.5F;
    const float between_cells = 0.34F + 0.16F * mottle + 0.20F * fine;
    const float cytoplasm = 0.60F + 0.26F * mottle + 0.22F * fine;
    const float strands = 0.48F + 0.48F * fibre + 0.12F * fine;
    const float ground = between_cells + tumour * (cytoplasm - between_cells);
    const float tint = 0.20F + 0.08F * mottle - tumour * 0.08F;
    eosin[i] = inside * (ground + stroma * (strands - ground));
    haematoxylin[i] = inside * (tint + stroma * (0.05F - tint));
  }
}

struct Glass {
  std::array<float, 3> level;
  std::array<float, 3> haematoxylin, eosin, ink;  // optical densities
  float noise;                                    // grey levels
  float pen_edge;                                 // 1 / pixels
  uint32_t key;
};

// exp(-x) for 0 <= x <= 4, 3 % too small at the end: (1 - x / 256)^256.
STYLESCOPE_INLINE float transmitted(float x) {
  float t = 1 - (x < 4 ? x : 4) * (1.0F / 256);
  for (int i = 0; i < 8; ++i) t *= t;
  return t;
}

// The sum of two bytes, without its mean and of deviation 1.
STYLESCOPE_INLINE float grain(uint32_t bits) {
  const auto sum = static_cast<int32_t>((bits & 255) + ((bits >> 8) & 255));
  return static_cast<float>(sum - 255) * (1.0F / 104.5F);
}

// Light through the stains and the ink, with the sensor's noise.
STYLESCOPE_SIMD void light_row(const Glass& g, int32_t x, int32_t y, const float* haematoxylin,
                               const float* eosin, const float* ink, uint8_t* rgb) {
  std::array<uint8_t, 3 * kBlock> planes;
  for (size_t c = 0; c < 3; ++c) {
    uint8_t* plane = planes.data() + c * kBlock;
    const float h = g.haematoxylin[c], e = g.eosin[c], p = g.ink[c], level = g.level[c];
    const uint32_t key = g.key + kGrain + static_cast<uint32_t>(c) * 0x51ED27U;
    for (int32_t i = 0; i < kBlock; ++i) {
      const float density = h * haematoxylin[i] + e * eosin[i] + p * ink[i];
      const float noise = g.noise * grain(cell_hash(x + i, y, key));
      const float value = level * transmitted(density) + noise + 0.5F;
      plane[i] = static_cast<uint8_t>(static_cast<int32_t>(value < 0     ? 0
                                                           : value > 255 ? 255
                                                                         : value));
    }
  }
  for (size_t i = 0; i < kBlock; ++i)
    for (size_t c = 0; c < 3; ++c) rgb[3 * i + c] = planes[c * kBlock + i];
}

// 0..1 and streaky, for the depths in the stroke.
STYLESCOPE_SIMD void ink_row(const float* depth, float edge, float streak, int32_t x, int32_t y,
                             uint32_t key, float* ink) {
  for (int32_t i = 0; i < kBlock; ++i) {
    const float u = static_cast<float>(x + i), v = static_cast<float>(y);
    const float streaks = value_noise((u + v) * 0.2F * streak, (u - v) * streak, key + kStreaks);
    ink[i] = clamp_unit(depth[i] * edge + 0.5F) * (0.75F + 0.4F * streaks);
  }
}

// Distance from the nearest wall between fat cells, micrometres, at a point in micrometres: the
// walls are those of the Voronoi diagram of a jittered lattice.
float wall_distance(float x, float y, uint32_t key) {
  const int32_t column = floor_int(x / kFatCell), row = floor_int(y / kFatCell);
  std::array<float, 9> dx, dy;
  size_t nearest = 0;
  for (size_t k = 0; k < 9; ++k) {
    const int32_t i = column - 1 + static_cast<int32_t>(k % 3);
    const int32_t j = row - 1 + static_cast<int32_t>(k / 3);
    const uint32_t cell = cell_hash(i, j, key + kFatCells);
    dx[k] = (static_cast<float>(i) + 0.2F + 0.6F * unit_float(cell)) * kFatCell - x;
    dy[k] = (static_cast<float>(j) + 0.2F + 0.6F * unit_float(mix_bits(cell))) * kFatCell - y;
    if (dx[k] * dx[k] + dy[k] * dy[k] < dx[nearest] * dx[nearest] + dy[nearest] * dy[nearest])
      nearest = k;
  }
  float wall = kFatCell;
  for (size_t k = 0; k < 9; ++k) {
    if (k == nearest) continue;
    const float across = dx[k] - dx[nearest], down = dy[k] - dy[nearest];
    const float to_middle = (dx[k] + dx[nearest]) * across + (dy[k] + dy[nearest]) * down;
    wall = std::min(wall, to_middle / (2 * std::sqrt(across * across + down * down)));
  }
  return wall;
}

}  // namespace

SlidePainter::SlidePainter(const SlideAnatomy& anatomy, double mpp)
    : plan_(anatomy), mpp_(mpp), fields_(anatomy, mpp) {}

void SlidePainter::fill_base(int64_t x, int64_t y) {
  FieldRows rows;
  const auto angle = static_cast<float>(plan_.fibre_angle);
  const BaseLook look{static_cast<float>(mpp_), std::cos(angle), std::sin(angle), plan_.key};
  for (int64_t row = 0; row < kBlock; ++row) {
    fields_.row(TissueFields::tissue, row, rows.tissue.data());
    fields_.row(TissueFields::tumour, row, rows.tumour.data());
    fields_.row(TissueFields::trabecula, row, rows.trabecula.data());
    fields_.row(TissueFields::septum, row, rows.septum.data());
    fields_.row(TissueFields::warp, row, rows.warp.data());
    base_row(rows, look, static_cast<int32_t>(x), static_cast<int32_t>(y + row),
             canvas_.haematoxylin.data() + row * kBlock, canvas_.eosin.data() + row * kBlock);
  }
}

// Fat cells: empty (their content is washed out) within thin pink walls.
void SlidePainter::fill_fat(int64_t x, int64_t y) {
  Row depth;
  const auto mpp = static_cast<float>(mpp_);
  for (int64_t row = 0; row < kBlock; ++row) {
    fields_.row(TissueFields::fat, row, depth.data());
    const float py = (static_cast<float>(y + row) + 0.5F) * mpp;
    for (int64_t i = 0; i < kBlock; ++i) {
      const float share = clamp_unit(depth[static_cast<size_t>(i)] * mpp / kEdge + 0.5F);
      if (share == 0) continue;
      const float px = (static_cast<float>(x + i) + 0.5F) * mpp;
      const float away = wall_distance(px, py, plan_.key);
      const float wall = clamp_unit((kFatWall - away) / kEdge + 0.5F);
      const auto at = static_cast<size_t>(row * kBlock + i);
      canvas_.eosin[at] += share * (0.4F * wall - canvas_.eosin[at]);
      canvas_.haematoxylin[at] -= share * canvas_.haematoxylin[at];
    }
  }
}

void SlidePainter::blacken(int64_t x, int64_t y, uint8_t* rgb) const {
  for (int64_t row = 0; row < kBlock; ++row)
    for (int64_t i = 0; i < kBlock; ++i)
      if (x + i < plan_.left || x + i >= plan_.right || y + row < plan_.top ||
          y + row >= plan_.bottom)
        std::memset(rgb + 3 * (row * kBlock + i), 0, 3);
}

bool SlidePainter::paint(int64_t x, int64_t y, uint8_t* rgb) {
  fields_.move_to(x, y);
  const auto edge = static_cast<float>(kEdge / mpp_);
  const bool tissue = fields_.highest(TissueFields::tissue) > -edge;
  const bool ink = fields_.highest(TissueFields::ink) > -2;
  if (tissue) {
    fill_base(x, y);
    if (fields_.highest(TissueFields::fat) > -edge) fill_fat(x, y);
    draw_cells(plan_, fields_, mpp_, x, y, canvas_);
  } else {
    canvas_.haematoxylin.fill(0);
    canvas_.eosin.fill(0);
  }
  Glass glass{plan_.glass, {}, {}, {}, static_cast<float>(plan_.stain.noise), 0.5F, plan_.key};
  for (size_t c = 0; c < 3; ++c) {
    glass.haematoxylin[c] = static_cast<float>(plan_.stain.haematoxylin) * tissue::kHaematoxylin[c];
    glass.eosin[c] = static_cast<float>(plan_.stain.eosin) * tissue::kEosin[c];
    if (plan_.pen) glass.ink[c] = plan_.pen->density[c];
  }
  Row depth, amount{};
  for (int64_t row = 0; row < kBlock; ++row) {
    const auto px = static_cast<int32_t>(x), py = static_cast<int32_t>(y + row);
    if (ink) {
      fields_.row(TissueFields::ink, row, depth.data());
      ink_row(depth.data(), glass.pen_edge, static_cast<float>(mpp_ / 12), px, py, plan_.key,
              amount.data());
    }
    light_row(glass, px, py, canvas_.haematoxylin.data() + row * kBlock,
              canvas_.eosin.data() + row * kBlock, amount.data(), rgb + 3 * row * kBlock);
  }
  const bool black =
      x < plan_.left || y < plan_.top || x + kBlock > plan_.right || y + kBlock > plan_.bottom;
  if (black) blacken(x, y, rgb);
  return tissue || ink || black;
}

}  // namespace stylescope
