#include "stages/tile/tile_reader.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace stylescope {
namespace {

constexpr int64_t kStainTiles = 48, kStainPixels = 2048;  // of a tile

class Stopwatch {
 public:
  explicit Stopwatch(std::atomic<double>& total) : total_(total) {}
  ~Stopwatch() { total_ += std::chrono::duration<double>(Clock::now() - begin_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  std::atomic<double>& total_;
  Clock::time_point begin_ = Clock::now();
};

// A thread's own room for source pixels: grows, and is used again for every tile.
uint8_t* scratch(int64_t bytes) {
  thread_local std::vector<uint8_t> room;
  if (static_cast<int64_t>(room.size()) < bytes) room.resize(static_cast<size_t>(bytes));
  return room.data();
}

bool inside(const ResampleAxis& axis, int64_t extent) {
  return axis.begin > -1 && axis.begin + axis.length < static_cast<double>(extent) + 1;
}

bool is_whole(double value) { return std::abs(value - std::round(value)) < 1e-6; }

}  // namespace

TileReader::TileReader(SlidePlan& plan, const TileConfig& config)
    : plan_(plan),
      config_(config),
      filter_(resample_filter(config.filter)),
      storage_(config.storage_kind()) {}

TileReader::Window TileReader::window_of(double x, double y) const {
  const auto& level = plan_.slide->levels()[static_cast<size_t>(plan_.level)];
  const double down = level.downsample;
  const int64_t px = config_.tile_px;
  Window window;
  window.x = {x / down, plan_.grid.tile_x / down, px};
  window.y = {y / down, plan_.grid.tile_y / down, px};
  // A filter's last taps beyond the edge are left out; a tile that itself reaches beyond shows the
  // slide's background there, at any scale.
  if (inside(window.x, level.width)) window.x.source_begin = 0, window.x.source_end = level.width;
  if (inside(window.y, level.height)) window.y.source_begin = 0, window.y.source_end = level.height;
  window.copied = plan_.native && is_whole(x / down) && is_whole(y / down);
  if (window.copied) {
    window.columns = {std::llround(x / down), std::llround(x / down) + px};
    window.rows = {std::llround(y / down), std::llround(y / down) + px};
  } else {
    window.columns = source_span(window.x, filter_);
    window.rows = source_span(window.y, filter_);
  }
  return window;
}

torch::Tensor TileReader::raw_pixels(double x, double y) const {
  const Window window = window_of(x, y);
  const int64_t left = window.columns.begin, width = window.columns.end - left;
  const int64_t top = window.rows.begin, height = window.rows.end - top, stride = 3 * width;
  uint8_t* rgb = scratch(stride * height);
  {
    const Stopwatch watch(times_.decode);
    plan_.slide->read(plan_.level, left, top, width, height, rgb, stride);
  }
  const int64_t px = config_.tile_px;
  auto tile = torch::empty({3, px, px}, torch::kUInt8);
  auto* planar = tile.data_ptr<uint8_t>();
  {
    const Stopwatch watch(times_.resample);
    if (window.copied)
      to_planar(rgb, stride, px, px, planar);
    else
      resample_tile(rgb, stride, left, top, window.x, window.y, filter_, planar);
  }
  return tile;
}

void TileReader::normalise(torch::Tensor& tile) const {
  if (!stain_) return;
  const Stopwatch watch(times_.filter);
  stain_->apply(tile.data_ptr<uint8_t>(), config_.tile_px * config_.tile_px);
}

torch::Tensor TileReader::pixels(double x, double y) const {
  auto tile = raw_pixels(x, y);
  normalise(tile);
  return tile;
}

ReadTile TileReader::read(const TilePlace& place) const {
  ReadTile tile;
  torch::Tensor pixels;
  try {
    pixels = raw_pixels(place.x, place.y);
  } catch (const Error& error) {
    tile.fate = TileFate::unreadable;
    tile.problem = error.what();
    return tile;
  }
  {
    const Stopwatch watch(times_.filter);
    tile.quality = measure_quality(pixels.data_ptr<uint8_t>(), config_.tile_px, config_.tile_px,
                                   config_.quality);
  }
  const std::string reason = drop_reason(tile.quality, config_.quality);
  if (reason.empty()) {
    normalise(pixels);
    if (config_.audit.on()) {
      const Stopwatch watch(times_.filter);
      tile.print = print_of(pixels);
    }
    const Stopwatch watch(times_.encode);
    tile.image = encode(place, pixels);
  } else {
    tile.fate = reason == "white"   ? TileFate::white
                : reason == "black" ? TileFate::black
                : reason == "pen"   ? TileFate::pen
                                    : TileFate::blur;
  }
  return tile;
}

// The file is read a second time: what goes wrong now leaves the pixels that were decoded.
std::optional<std::string> TileReader::stored_jpeg(int64_t x, int64_t y) const {
  try {
    return plan_.slide->stored_jpeg(plan_.level, x, y, config_.tile_px, config_.tile_px);
  } catch (const Error&) {
    return std::nullopt;
  }
}

EncodedImage TileReader::encode(const TilePlace& place, const torch::Tensor& pixels) const {
  if (storage_ == Storage::jpeg && plan_.native) {
    const double down = plan_.slide->levels()[static_cast<size_t>(plan_.level)].downsample;
    if (is_whole(place.x / down) && is_whole(place.y / down))
      if (auto jpeg = stored_jpeg(std::llround(place.x / down), std::llround(place.y / down)))
        return keep_jpeg(*jpeg);
  }
  return encode_image(pixels, storage_);
}

std::optional<StainFit> TileReader::fit(uint64_t seed, std::string& why) const {
  std::vector<size_t> tiles;
  for (size_t i = 0; i < plan_.places.size(); ++i)
    if (plan_.places[i].tissue >= config_.min_tissue) tiles.push_back(i);
  const auto order = keyed_permutation({seed, "tile.stain", 0}, static_cast<int64_t>(tiles.size()));
  const int64_t taken = std::min<int64_t>(kStainTiles, order.numel());
  const int64_t area = config_.tile_px * config_.tile_px;
  const int64_t step = std::max<int64_t>(1, area / kStainPixels);
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < taken; ++i) {
    const auto& place = plan_.places[tiles[static_cast<size_t>(order[i].item<int64_t>())]];
    torch::Tensor tile;
    try {
      tile = raw_pixels(place.x, place.y);
    } catch (const Error&) {
      continue;  // counted when the tile itself is read
    }
    const auto* planar = tile.data_ptr<uint8_t>();
    for (int64_t p = 0; p < area; p += step)
      for (int64_t c = 0; c < 3; ++c) pixels.push_back(planar[c * area + p]);
  }
  return fit_stain(config_.stain.method, pixels.data(), static_cast<int64_t>(pixels.size() / 3),
                   why);
}

std::string TileReader::normalise_to(const StainFit& target, uint64_t seed) {
  std::string why;
  const auto own = fit(seed, why);
  if (own) stain_ = std::make_unique<StainMap>(*own, target);
  return why;
}

}  // namespace stylescope
