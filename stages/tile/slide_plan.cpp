#include "stages/tile/slide_plan.hpp"

#include "io/base/error.hpp"
#include "io/coords_file.hpp"
#include "io/ordered_pool.hpp"
#include "stages/tile/resample.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace stylescope {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kBlock = 64;               // of the small picture, read at a time
constexpr int64_t kMostPlaces = 20'000'000;  // of a grid; each takes about 150 bytes

// The whole slide at about tissue.mpp micrometres a pixel, by area averaging from the nearest
// level.
struct SmallPicture {
  int64_t width = 0, height = 0;
  double scale_x = 1, scale_y = 1;
  std::vector<uint8_t> pixels;
};

// A block of it, interleaved; what cannot be decoded is white, and `problem` says so.
struct PictureBlock {
  std::vector<uint8_t> pixels;
  std::string problem;
};

PictureBlock read_block(Slide& slide, int64_t level, const ResampleAxis& x, const ResampleAxis& y) {
  const auto across = source_span(x, ResampleFilter::area);
  const auto down = source_span(y, ResampleFilter::area);
  const int64_t width = across.end - across.begin, stride = 3 * width;
  const int64_t area = x.pixels * y.pixels;
  PictureBlock block;
  block.pixels.assign(static_cast<size_t>(3 * area), 255);
  std::vector<uint8_t> source(static_cast<size_t>(stride * (down.end - down.begin)));
  try {
    slide.read(level, across.begin, down.begin, width, down.end - down.begin, source.data(),
               stride);
  } catch (const Error& error) {
    block.problem = error.what();
    return block;
  }
  std::vector<uint8_t> planar(block.pixels.size());
  resample_tile(source.data(), stride, across.begin, down.begin, x, y, ResampleFilter::area,
                planar.data());
  for (int64_t i = 0; i < area; ++i)
    for (int64_t c = 0; c < 3; ++c) block.pixels[3 * i + c] = planar[c * area + i];
  return block;
}

SmallPicture size_of_picture(const SlideLevel& full, const SlideLevel& level, const Mpp& mpp,
                             double target) {
  SmallPicture small;
  const auto side = [target](int64_t pixels, double own) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(pixels) * own / target));
  };
  small.width = std::min(side(full.width, mpp.x), level.width);
  small.height = std::min(side(full.height, mpp.y), level.height);
  small.scale_x = static_cast<double>(full.width) / static_cast<double>(small.width);
  small.scale_y = static_cast<double>(full.height) / static_cast<double>(small.height);
  small.pixels.resize(static_cast<size_t>(3 * small.width * small.height));
  return small;
}

SmallPicture small_picture(SlidePlan& plan, double target, int64_t threads) {
  Slide& slide = *plan.slide;
  const int64_t level =
      best_level(slide, std::max(1.0, std::min(target / plan.mpp.x, target / plan.mpp.y)));
  const auto& size = slide.levels()[static_cast<size_t>(level)];
  SmallPicture small = size_of_picture(slide.levels().front(), size, plan.mpp, target);
  const double step_x = static_cast<double>(size.width) / static_cast<double>(small.width);
  const double step_y = static_cast<double>(size.height) / static_cast<double>(small.height);
  const int64_t across = (small.width + kBlock - 1) / kBlock;
  const int64_t blocks = across * ((small.height + kBlock - 1) / kBlock);
  const auto axis = [](int64_t number, int64_t extent, double step) {
    const int64_t first = number * kBlock, pixels = std::min(kBlock, extent - first);
    return ResampleAxis{static_cast<double>(first) * step, static_cast<double>(pixels) * step,
                        pixels};
  };
  OrderedPool<PictureBlock> pool(blocks, threads, 4 * threads, [&](int64_t i) {
    return read_block(slide, level, axis(i % across, small.width, step_x),
                      axis(i / across, small.height, step_y));
  });
  int64_t damaged = 0;
  std::string problem;
  for (int64_t i = 0; i < blocks; ++i) {
    const auto block = pool.take();
    const int64_t x = i % across * kBlock, y = i / across * kBlock;
    const int64_t width = std::min(kBlock, small.width - x);
    for (int64_t row = 0; row < std::min(kBlock, small.height - y); ++row)
      std::copy_n(block.pixels.begin() + 3 * row * width, 3 * width,
                  small.pixels.begin() + 3 * ((y + row) * small.width + x));
    if (!block.problem.empty() && damaged++ == 0) problem = block.problem;
  }
  validate(damaged < blocks, problem);
  if (damaged > 0)
    plan.problems.push_back(
        detail::concatenate(damaged, " of ", blocks,
                            " blocks of the picture that tissue is looked for on cannot be "
                            "read and count as glass (the first: ",
                            problem, ")"));
  return small;
}

void find_mask(SlidePlan& plan, const ListedSlide& listed, const TileConfig& config) {
  auto small = small_picture(plan, config.tissue.mpp, config.thread_count());
  const double mask_mpp = plan.mpp.x * small.scale_x;
  plan.mask = find_tissue(small.pixels.data(), small.width, small.height, small.scale_x,
                          small.scale_y, mask_mpp, config.tissue);
  plan.picture = std::move(small.pixels);
  plan.white.resize(plan.mask.tissue.size());
  for (size_t i = 0; i < plan.white.size(); ++i)
    plan.white[i] = *std::min_element(&plan.picture[3 * i], &plan.picture[3 * i] + 3) >=
                    config.quality.white_level;
  if (listed.tissue.empty()) return;
  auto corrected = read_annotations(listed.tissue);
  replace_tissue(plan.mask, corrected.shapes);
  for (auto& problem : corrected.problems) plan.problems.push_back(std::move(problem));
}

void find_scale(SlidePlan& plan, const ListedSlide& listed, const TileConfig& config,
                const std::map<std::string, Mpp>& csv) {
  const auto found = find_mpp(*plan.slide, csv);
  validate(found.has_value(), listed.file.string(),
           ": does not say how many micrometres a pixel has (neither openslide.mpp-x nor a TIFF "
           "resolution from 0.05 to 20), and nobody guesses; add a line for it to a CSV with "
           "columns slide,mpp and name that in tile.mpp_csv");
  plan.mpp = *found;
  const auto& full = plan.slide->levels().front();
  plan.grid = tile_grid_of(full.width, full.height, plan.mpp.x, plan.mpp.y, config.mpp,
                           config.tile_px, config.stride);
  plan.tile_mpp_x = plan.tile_mpp_y = config.mpp;
}

// Where to read from, once the size of a tile is settled.
void choose_level(SlidePlan& plan, const TileConfig& config) {
  const auto px = static_cast<double>(config.tile_px);
  const double scale_x = plan.grid.tile_x / px, scale_y = plan.grid.tile_y / px;
  plan.level = best_level(*plan.slide, std::min(scale_x, scale_y));
  const double down = plan.slide->levels()[static_cast<size_t>(plan.level)].downsample;
  plan.native = std::abs(scale_x / down - 1) < 1e-9 && std::abs(scale_y / down - 1) < 1e-9;
}

// Places of another program's tiling; its tiles' extent replaces ours.
void take_coords(SlidePlan& plan, const ListedSlide& listed, const TileConfig& config) {
  const TileCoords coords = read_coords(listed.coords);
  const auto& full = plan.slide->levels().front();
  plan.grid.tile_x = coords.width0;
  plan.grid.tile_y = coords.height0;
  const auto px = static_cast<double>(config.tile_px);
  plan.tile_mpp_x = coords.width0 * plan.mpp.x / px;
  plan.tile_mpp_y = coords.height0 * plan.mpp.y / px;
  validate(coords.level0.size(0) > 0, listed.coords.string(),
           ": holds no tiles; make it again, or take the slide away");
  const auto corners = coords.level0.accessor<int64_t, 2>();
  for (int64_t i = 0; i < corners.size(0); ++i) {
    const int64_t x = corners[i][0], y = corners[i][1];
    validate(x >= 0 && y >= 0 && x < full.width && y < full.height, listed.coords.string(),
             ": has a tile at (", x, ", ", y, "), outside of the slide of ", full.width, " x ",
             full.height, " pixels (of another slide?); make it again");
    TilePlace place;
    place.x = static_cast<double>(x);
    place.y = static_cast<double>(y);
    plan.places.push_back(place);
  }
}

void find_places(SlidePlan& plan, const ListedSlide& listed, const TileConfig& config) {
  const bool given = !listed.coords.empty();
  if (given) {
    take_coords(plan, listed, config);
  } else {
    validate(plan.grid.size() <= kMostPlaces, listed.file.string(), ": would have ",
             plan.grid.size(), " places for tiles, more than ", kMostPlaces,
             "; raise tile.stride, tile.mpp or tile.tile_px");
    plan.places.resize(static_cast<size_t>(plan.grid.size()));
    for (int64_t i = 0; i < plan.grid.size(); ++i) {
      plan.places[static_cast<size_t>(i)].x = plan.grid.x(i);
      plan.places[static_cast<size_t>(i)].y = plan.grid.y(i);
    }
  }
  for (auto& place : plan.places) {
    const auto share = [&](const std::vector<uint8_t>& plane) {
      return plan.mask.share(plane, place.x, place.y, plan.grid.tile_x, plan.grid.tile_y);
    };
    place.tissue = share(plan.mask.tissue);
    place.quality = {share(plan.white), share(plan.mask.black), share(plan.mask.pen), kNaN};
    place.positive = kNaN;
    if (!given && place.tissue < config.min_tissue) place.fate = TileFate::no_tissue;
  }
}

}  // namespace

std::string to_string(TileFate fate) {
  static constexpr std::array<const char*, kTileFates> names{
      "kept",  "no tissue", "ambiguous", "unreadable", "white",
      "black", "pen",       "blur",      "not sampled"};
  return names.at(static_cast<size_t>(fate));
}

SlidePlan plan_places(const ListedSlide& listed, const TileConfig& config,
                      const std::map<std::string, Mpp>& mpp) {
  SlidePlan plan;
  plan.slide = open_slide(listed.file, config.slide_options());
  find_scale(plan, listed, config, mpp);
  find_mask(plan, listed, config);
  find_places(plan, listed, config);
  choose_level(plan, config);
  return plan;
}

SlidePlan plan_slide(const ListedSlide& listed, const TileConfig& config,
                     const std::map<std::string, Mpp>& mpp) {
  SlidePlan plan = plan_places(listed, config, mpp);
  const SlideLabels labels(listed, *plan.slide, config);
  plan.outlines = labels.shapes();
  plan.problems.insert(plan.problems.end(), labels.problems().begin(), labels.problems().end());
  const double border = config.sample.hard_negatives > 0 ? config.sample.border_um / plan.mpp.x : 0;
  for (auto& place : plan.places) {
    if (place.fate != TileFate::kept) continue;
    const auto answer = labels.of(place.x, place.y, plan.grid, border);
    place.label = answer.label;
    place.positive = answer.positive;
    place.near_border = answer.near_border;
    if (answer.label < 0 || (answer.label == 0 && !listed.negatives))
      place.fate = TileFate::ambiguous;
  }
  return plan;
}

}  // namespace stylescope
