#include "io/tiff_pyramid.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/base/simd.hpp"
#include "io/jpeg_codec.hpp"
#include "io/tiff_file.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <tiffio.h>
#include <utility>
#include <vector>

namespace stylescope {
namespace {

constexpr uint8_t kWhite = 255;

int64_t tiles_along(int64_t pixels, int64_t tile) { return (pixels + tile - 1) / tile; }

struct LevelSize {
  int64_t width = 0, height = 0;
};

std::vector<LevelSize> level_sizes(const TiffPyramidOptions& options) {
  std::vector<LevelSize> sizes{{options.width, options.height}};
  const auto small = [&](const LevelSize& s) {
    return tiles_along(s.width, options.tile) * tiles_along(s.height, options.tile) <= 2;
  };
  while (options.levels > 0 ? static_cast<int64_t>(sizes.size()) < options.levels
                            : !small(sizes.back())) {
    const LevelSize next{sizes.back().width / options.factor, sizes.back().height / options.factor};
    validate(next.width > 0 && next.height > 0, "a pyramid of ", options.levels, " levels of ",
             options.width, " x ", options.height, " pixels would end in an empty level");
    sizes.push_back(next);
  }
  return sizes;
}

// Runs work(i) for i in [0, count) on `threads` threads; the first exception is thrown on.
template <class Work>
void in_parallel(int64_t count, int64_t threads, Work&& work) {
  threads = std::clamp<int64_t>(threads, 1, std::max<int64_t>(1, count));
  if (threads == 1) {
    for (int64_t i = 0; i < count; ++i) work(i);
    return;
  }
  std::atomic<int64_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto loop = [&] {
    try {
      for (int64_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      next = count;
      const std::scoped_lock lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::jthread> workers;
  for (int64_t t = 0; t < threads; ++t) workers.emplace_back(loop);
  workers.clear();
  if (failure) std::rethrow_exception(failure);
}

STYLESCOPE_SIMD
void add_row(const uint8_t* row, uint32_t* sums, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sums[i] += row[i];
}

// One level on its way, from the top down: the row of tiles at hand, and the sums of the finer
// level's rows that make its next row.
class Level {
 public:
  Level(LevelSize size, const TiffPyramidOptions& options)
      : size_(size),
        options_(options),
        across_(tiles_along(size.width, options.tile)),
        strip_(static_cast<size_t>(3 * size.width * options.tile)),
        filled_(static_cast<size_t>(across_)) {}

  LevelSize size() const { return size_; }
  int64_t across() const { return across_; }
  int64_t rows() const { return rows_; }  // of the strip
  const uint8_t* row(int64_t y) const { return strip_.data() + 3 * size_.width * y; }
  bool filled(int64_t column) const { return filled_[static_cast<size_t>(column)] != 0; }

  // Level 0: the tiles from row `y` of the level on.
  void draw(int64_t y, const DrawRegion& draw, int64_t threads) {
    rows_ = std::min(options_.tile, size_.height - y);
    in_parallel(across_, threads, [&](int64_t column) {
      const int64_t x = column * options_.tile;
      const int64_t width = std::min(options_.tile, size_.width - x);
      std::vector<uint8_t> tile(static_cast<size_t>(3 * width * rows_));
      const bool filled = draw(x, y, width, rows_, tile.data());
      if (!filled) std::ranges::fill(tile, kWhite);
      filled_[static_cast<size_t>(column)] = filled;
      for (int64_t r = 0; r < rows_; ++r)
        std::copy_n(tile.data() + 3 * width * r, 3 * width,
                    strip_.data() + 3 * (size_.width * r + x));
    });
  }

  // Takes one more row of the finer level's strip; true: that completed a row of tiles.
  bool take(const Level& finer, int64_t finer_row) {
    if (done_ + rows_ == size_.height) return false;
    sums_.resize(static_cast<size_t>(3 * finer.size_.width));
    add_row(finer.row(finer_row), sums_.data(), std::ssize(sums_));
    for (int64_t column = 0; column < finer.across_; ++column)
      if (finer.filled(column)) mark_filled(column);
    if (++summed_ < options_.factor) return false;
    finish_row();
    return rows_ == options_.tile || done_ + rows_ == size_.height;
  }

  void clear() {
    done_ += rows_;
    rows_ = 0;
    std::ranges::fill(filled_, uint8_t{0});
  }

  // Beyond the image its last pixels are repeated: the codec's ringing stays out of the picture.
  std::string encode(int64_t column) const {
    const int64_t tile = options_.tile, x = column * tile;
    const int64_t width = std::min(tile, size_.width - x);
    std::vector<uint8_t> padded(static_cast<size_t>(3 * tile * tile));
    for (int64_t r = 0; r < tile; ++r) {
      uint8_t* to = padded.data() + 3 * tile * r;
      std::copy_n(row(std::min(r, rows_ - 1)) + 3 * x, 3 * width, to);
      for (int64_t i = width; i < tile; ++i) std::copy_n(to + 3 * (width - 1), 3, to + 3 * i);
    }
    return split_jpeg_tables(encode_tile(padded.data(), tile, options_)).stream;
  }

  static std::string encode_tile(const uint8_t* rgb, int64_t side,
                                 const TiffPyramidOptions& options) {
    return encode_jpeg(rgb, side, side, 3 * side, 3, options.quality, options.subsample,
                       options.rgb_photometric ? JpegColor::rgb : JpegColor::ycbcr);
  }

 private:
  // A tile of ours holds something where a tile below it does.
  void mark_filled(int64_t finer_column) {
    const int64_t tile = options_.tile, factor = options_.factor;
    const int64_t first = finer_column * tile / factor / tile;
    const int64_t last = ((finer_column + 1) * tile - 1) / factor / tile;
    for (int64_t c = first; c <= std::min(last, across_ - 1); ++c)
      filled_[static_cast<size_t>(c)] = 1;
  }

  void finish_row() {
    const auto factor = options_.factor;
    const auto area = static_cast<uint32_t>(factor * factor);
    uint8_t* out = strip_.data() + 3 * size_.width * rows_;
    for (int64_t x = 0; x < size_.width; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        uint32_t sum = area / 2;
        for (int64_t i = 0; i < factor; ++i)
          sum += sums_[static_cast<size_t>(3 * (x * factor + i) + c)];
        out[3 * x + c] = static_cast<uint8_t>(sum / area);
      }
    std::ranges::fill(sums_, 0U);
    summed_ = 0;
    ++rows_;
  }

  LevelSize size_;
  const TiffPyramidOptions& options_;
  int64_t across_;
  std::vector<uint8_t> strip_;   // up to `tile` rows
  std::vector<uint8_t> filled_;  // per tile of the strip: something is there
  std::vector<uint32_t> sums_;   // of `summed_` rows of the finer level
  int64_t summed_ = 0, rows_ = 0, done_ = 0;
};

// The directories of the file. libtiff writes one after the other: level 0 as it is drawn, the
// others' encoded tiles wait in memory (a third of level 0's at most).
class Writer {
 public:
  Writer(const std::filesystem::path& file, const TiffPyramidOptions& options)
      : options_(options),
        // Offsets of plain TIFF end at 4 GiB; JPEG hardly grows beyond raw pixels.
        tiff_(file, 4 * options.width * options.height > (int64_t{1} << 32) ? "w8" : "w") {
    const std::vector<uint8_t> white(3 * 16 * 16, kWhite);
    tables_ = split_jpeg_tables(Level::encode_tile(white.data(), 16, options)).tables;
  }

  void begin(LevelSize size, bool first) {
    set(TIFFTAG_IMAGEWIDTH, static_cast<uint32_t>(size.width));
    set(TIFFTAG_IMAGELENGTH, static_cast<uint32_t>(size.height));
    set(TIFFTAG_TILEWIDTH, static_cast<uint32_t>(options_.tile));
    set(TIFFTAG_TILELENGTH, static_cast<uint32_t>(options_.tile));
    set(TIFFTAG_BITSPERSAMPLE, 8);
    set(TIFFTAG_SAMPLESPERPIXEL, 3);
    set(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    set(TIFFTAG_COMPRESSION, COMPRESSION_JPEG);
    set(TIFFTAG_SUBFILETYPE, first ? 0U : static_cast<unsigned>(FILETYPE_REDUCEDIMAGE));
    if (options_.rgb_photometric) {
      set(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
    } else {
      const int ratio = options_.subsample ? 2 : 1;
      set(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_YCBCR);
      set(TIFFTAG_YCBCRSUBSAMPLING, ratio, ratio);
      const float range[] = {0, 255, 128, 255, 128, 255};
      set(TIFFTAG_REFERENCEBLACKWHITE, range);
    }
    set(TIFFTAG_JPEGTABLES, static_cast<uint32_t>(tables_.size()), tables_.data());
    if (first && !options_.description.empty())
      set(TIFFTAG_IMAGEDESCRIPTION, options_.description.c_str());
    if (first && options_.mpp) {
      const double per_cm = 1e4 / *options_.mpp;
      set(TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER);
      set(TIFFTAG_XRESOLUTION, per_cm);
      set(TIFFTAG_YRESOLUTION, per_cm);
    }
  }
  // An empty stream leaves the tile with offset and length zero.
  void tile(int64_t index, std::string& stream) {
    if (stream.empty()) return;
    const auto size = static_cast<tmsize_t>(stream.size());
    tiff_.check(
        TIFFWriteRawTile(tiff_.get(), static_cast<uint32_t>(index), stream.data(), size) == size,
        "write a tile");
  }
  void end() { tiff_.check(TIFFWriteDirectory(tiff_.get()) == 1, "write a directory"); }

 private:
  template <class... Values>
  void set(uint32_t tag, Values... values) {
    tiff_.check(TIFFSetField(tiff_.get(), tag, values...) == 1, "set a tag");
  }
  const TiffPyramidOptions& options_;
  TiffFile tiff_;
  std::string tables_;
};

class Pyramid {
 public:
  Pyramid(const std::filesystem::path& file, const TiffPyramidOptions& options, int64_t threads)
      : options_(options), threads_(threads), writer_(file, options) {
    for (const auto& size : level_sizes(options)) levels_.emplace_back(size, options);
    waiting_.resize(levels_.size());
  }

  void write(const DrawRegion& draw) {
    writer_.begin(levels_[0].size(), true);
    for (int64_t y = 0; y < options_.height; y += options_.tile) {
      levels_[0].draw(y, draw, threads_);
      finish_strip(0);
      for (auto& stream : waiting_[0]) writer_.tile(written_++, stream);
      waiting_[0].clear();
    }
    writer_.end();
    for (size_t k = 1; k < levels_.size(); ++k) {
      writer_.begin(levels_[k].size(), false);
      int64_t index = 0;
      for (auto& stream : waiting_[k]) writer_.tile(index++, stream);
      writer_.end();
      waiting_[k] = {};
    }
  }

 private:
  void finish_strip(size_t k) {
    Level& level = levels_[k];
    std::vector<std::string> streams(static_cast<size_t>(level.across()));
    in_parallel(level.across(), threads_, [&](int64_t column) {
      if (level.filled(column) || !options_.skip_empty)
        streams[static_cast<size_t>(column)] = level.encode(column);
    });
    std::ranges::move(streams, std::back_inserter(waiting_[k]));
    if (k + 1 < levels_.size())
      for (int64_t row = 0; row < level.rows(); ++row)
        if (levels_[k + 1].take(level, row)) finish_strip(k + 1);
    level.clear();
  }

  const TiffPyramidOptions& options_;
  int64_t threads_, written_ = 0;
  Writer writer_;
  std::vector<Level> levels_;
  std::vector<std::vector<std::string>> waiting_;  // encoded tiles of each level, row by row
};

void check_options(const std::filesystem::path& file, const TiffPyramidOptions& options) {
  constexpr int64_t kLargest = int64_t{1} << 31;
  validate(options.width > 0 && options.height > 0 && options.width < kLargest &&
               options.height < kLargest,
           file.string(), ": cannot write a slide of ", options.width, " x ", options.height,
           " pixels; choose 1 to 2147483647");
  SS_CHECK(options.tile >= 16 && options.tile % 16 == 0 && options.tile <= 8192, options.tile);
  SS_CHECK(options.factor >= 2 && options.factor <= 64 && options.levels >= 0);
}

}  // namespace

void write_tiff_pyramid(const std::filesystem::path& file, const TiffPyramidOptions& options,
                        const DrawRegion& draw, int64_t threads) {
  check_options(file, options);
  publish_file(file, [&](const std::filesystem::path& temporary) {
    Pyramid(temporary, options, threads).write(draw);
  });
}

}  // namespace stylescope
