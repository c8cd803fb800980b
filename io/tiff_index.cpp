#include "io/tiff_index.hpp"

#include "io/base/error.hpp"
#include "io/tiff_file.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tiffio.h>
#include <utility>

namespace stylescope {
namespace {

constexpr int64_t kMostTiles = int64_t{1} << 28;

template <class T>
T field_or(tiff* file, uint32_t tag, T otherwise) {
  T value{};
  return TIFFGetFieldDefaulted(file, tag, &value) == 1 ? value : otherwise;
}

std::vector<uint64_t> tile_table(tiff* file, uint32_t tag, int64_t count) {
  const uint64_t* values = nullptr;
  validate(TIFFGetField(file, tag, &values) == 1 && values, "a table of its tiles is missing");
  return {values, values + count};
}

// The current directory; throws Error with the reason where it is not JPEG in tiles of 8-bit RGB,
// as OpenSlide decodes it by libjpeg.
TiffLevel read_directory(tiff* file) {
  const auto compression = field_or<uint16_t>(file, TIFFTAG_COMPRESSION, 0);
  validate(compression == COMPRESSION_JPEG, "its tiles are not JPEG but of TIFF compression ",
           compression);
  const auto photometric = field_or<uint16_t>(file, TIFFTAG_PHOTOMETRIC, 0);
  const auto bits = field_or<uint16_t>(file, TIFFTAG_BITSPERSAMPLE, 0);
  const auto samples = field_or<uint16_t>(file, TIFFTAG_SAMPLESPERPIXEL, 0);
  validate(bits == 8 && samples == 3, "its pixels are ", samples, " x ", bits, " bits, not 3 x 8");
  validate(photometric == PHOTOMETRIC_RGB || photometric == PHOTOMETRIC_YCBCR,
           "its colours are TIFF's photometric ", photometric, ", not RGB or YCbCr");
  validate(field_or<uint16_t>(file, TIFFTAG_PLANARCONFIG, 0) == PLANARCONFIG_CONTIG,
           "its colours are stored in separate planes");

  TiffLevel level;
  level.color = photometric == PHOTOMETRIC_RGB ? JpegColor::rgb : JpegColor::ycbcr;
  level.width = field_or<uint32_t>(file, TIFFTAG_IMAGEWIDTH, 0);
  level.height = field_or<uint32_t>(file, TIFFTAG_IMAGELENGTH, 0);
  level.tile_width = field_or<uint32_t>(file, TIFFTAG_TILEWIDTH, 0);
  level.tile_height = field_or<uint32_t>(file, TIFFTAG_TILELENGTH, 0);
  validate(level.width > 0 && level.height > 0 && level.tile_width > 0 && level.tile_height > 0,
           "a directory is damaged (a size of 0)");
  level.across = (level.width + level.tile_width - 1) / level.tile_width;
  level.down = (level.height + level.tile_height - 1) / level.tile_height;
  validate(level.down <= kMostTiles / level.across &&
               level.across * level.down == TIFFNumberOfTiles(file),
           "a directory is damaged (", level.across, " x ", level.down, " tiles)");
  level.offsets = tile_table(file, TIFFTAG_TILEOFFSETS, level.across * level.down);
  level.counts = tile_table(file, TIFFTAG_TILEBYTECOUNTS, level.across * level.down);
  uint32_t size = 0;
  const void* tables = nullptr;
  if (TIFFGetField(file, TIFFTAG_JPEGTABLES, &size, &tables) == 1 && tables)
    level.tables.assign(static_cast<const char*>(tables), size);
  return level;
}

std::vector<TiffLevel> read_levels(const Slide& slide, const std::string& vendor) {
  const TiffFile file(slide.file(), "rm");  // unmapped: a file that shrinks is an error, no signal
  std::vector<TiffLevel> levels;
  bool first = true;
  do {
    const auto kind = field_or<uint32_t>(file.get(), TIFFTAG_SUBFILETYPE, 0);
    // Aperio's thumbnail, label and macro picture are in strips.
    const bool is_level = TIFFIsTiled(file.get()) &&
                          (first || vendor == "aperio" || (kind & FILETYPE_REDUCEDIMAGE) != 0);
    validate(!first || is_level, "its first directory is stored in strips");
    if (is_level) levels.push_back(read_directory(file.get()));
    first = false;
  } while (TIFFReadDirectory(file.get()));
  if (vendor == "generic-tiff")
    std::ranges::stable_sort(levels, std::ranges::greater(), &TiffLevel::width);
  return levels;
}

// OpenSlide's word counts. Philips' directories are padded to whole tiles, and OpenSlide knows the
// true sizes from elsewhere.
void match_levels(std::vector<TiffLevel>& levels, const Slide& slide, const std::string& vendor) {
  validate(levels.size() == slide.levels().size(), "it has ", levels.size(),
           " tiled directories, and OpenSlide finds ", slide.levels().size(), " levels");
  for (size_t i = 0; i < levels.size(); ++i) {
    TiffLevel& own = levels[i];
    const SlideLevel& other = slide.levels()[i];
    const bool padded =
        vendor == "philips" && other.width <= own.width && other.height <= own.height;
    validate((padded || (own.width == other.width && own.height == other.height)) &&
                 own.tile_width == other.tile_width && own.tile_height == other.tile_height,
             "its directories differ from the levels that OpenSlide finds");
    own.width = other.width;
    own.height = other.height;
  }
}

// Of an Aperio file, OpenSlide paints a missing tile from the level before, one pixel beyond its
// edges. `finer_empty`: the tiles of that level that show nothing.
bool shows_nothing(const TiffLevel& level, int64_t column, int64_t row, const TiffLevel& finer,
                   double scale, const std::vector<bool>& finer_empty) {
  const auto range = [&](int64_t tile, int64_t side, int64_t finer_side, int64_t finer_count) {
    const double start = static_cast<double>(tile * side - 1) * scale;
    const double end = start + std::ceil(static_cast<double>(side + 2) * scale) + 1;
    const auto at = [&](double pixel) {
      const auto index = std::floor(pixel / static_cast<double>(finer_side));
      return std::clamp(static_cast<int64_t>(index), int64_t{0}, finer_count - 1);
    };
    return std::pair(at(start), at(end));
  };
  const auto [left, right] = range(column, level.tile_width, finer.tile_width, finer.across);
  const auto [top, bottom] = range(row, level.tile_height, finer.tile_height, finer.down);
  for (int64_t y = top; y <= bottom; ++y)
    for (int64_t x = left; x <= right; ++x)
      if (!finer_empty[static_cast<size_t>(y * finer.across + x)]) return false;
  return true;
}

void check_missing_tiles(const std::vector<TiffLevel>& levels, const Slide& slide) {
  std::vector<bool> finer_empty;
  for (size_t i = 0; i < levels.size(); ++i) {
    const TiffLevel& level = levels[i];
    std::vector<bool> empty(level.counts.size());
    for (size_t tile = 0; tile < empty.size(); ++tile) {
      empty[tile] = level.counts[tile] == 0;
      if (!empty[tile] || i == 0) continue;
      const double scale = slide.levels()[i].downsample / slide.levels()[i - 1].downsample;
      const auto at = static_cast<int64_t>(tile);
      validate(shows_nothing(level, at % level.across, at / level.across, levels[i - 1], scale,
                             finer_empty),
               "level ", i, " lacks tiles, which OpenSlide paints from the level before");
    }
    finer_empty = std::move(empty);
  }
}

}  // namespace

std::vector<TiffLevel> read_tiff_index(const Slide& slide, std::string& why_not) {
  const auto found = slide.properties().find("openslide.vendor");
  const std::string vendor = found == slide.properties().end() ? "" : found->second;
  if (vendor != "aperio" && vendor != "generic-tiff" && vendor != "philips") {
    why_not = "it is of OpenSlide's format " + vendor + ", not a plain tiled TIFF";
    return {};
  }
  try {
    std::vector<TiffLevel> levels = read_levels(slide, vendor);
    match_levels(levels, slide, vendor);
    if (vendor == "aperio") check_missing_tiles(levels, slide);
    return levels;
  } catch (const Error& error) {
    why_not = error.what();
    return {};
  }
}

}  // namespace stylescope
