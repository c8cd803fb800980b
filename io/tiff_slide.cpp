#include "io/tiff_slide.hpp"

#include "io/base/error.hpp"
#include "io/openslide_reader.hpp"
#include "io/slide_failure.hpp"
#include "io/tiff_index.hpp"
#include "io/tile_cache.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace stylescope {
namespace {

// A file that any thread reads from.
class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& file)
      : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    validate(fd_ >= 0, file.string(), ": cannot be opened (", std::strerror(errno), ")");
    const off_t end = ::lseek(fd_, 0, SEEK_END);
    size_ = end > 0 ? static_cast<uint64_t>(end) : 0;
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  // Throws Error without the file's name.
  void read(uint64_t offset, uint64_t count, std::string& bytes) const {
    validate(count <= size_ && offset <= size_ - count, "its data lies beyond the end of the file");
    bytes.resize(count);
    for (size_t done = 0; done < count;) {
      const ssize_t got =
          ::pread(fd_, bytes.data() + done, count - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      validate(got > 0, got < 0 ? std::strerror(errno) : "the file has become shorter");
      done += static_cast<size_t>(got);
    }
  }

 private:
  int fd_;
  uint64_t size_ = 0;
};

// A level as users see it: a stored one, its tiles scaled by 1 / denominator.
struct View {
  const TiffLevel* stored = nullptr;
  int denominator = 1;
};

// What a thread reuses from tile to tile.
struct Workbench {
  JpegDecoder decoder;
  std::string stream;
};
Workbench& workbench() {
  thread_local Workbench one;
  return one;
}

struct Rect {
  int64_t x = 0, y = 0, width = 0, height = 0;
  bool operator==(const Rect&) const = default;
};

Rect overlap(const Rect& a, const Rect& b) {
  const int64_t x = std::max(a.x, b.x), y = std::max(a.y, b.y);
  return {x, y, std::min(a.x + a.width, b.x + b.width) - x,
          std::min(a.y + a.height, b.y + b.height) - y};
}

class TiffSlide final : public Slide {
 public:
  TiffSlide(const Slide& truth, const SlideOptions& options, std::vector<TiffLevel> stored)
      : file_(truth.file()),
        properties_(truth.properties()),
        background_(background_of(properties_)),
        data_(truth.file()),
        stored_(std::move(stored)),
        cache_(options.cache_bytes) {
    for (size_t i = 0; i < stored_.size(); ++i) {
      levels_.push_back(truth.levels()[i]);
      views_.push_back({&stored_[i], 1});
      if (options.dct_scaling)
        add_scaled(i, i + 1 < stored_.size() ? truth.levels()[i + 1].downsample : 0);
    }
  }

  const std::filesystem::path& file() const override { return file_; }
  const std::vector<SlideLevel>& levels() const override { return levels_; }
  const std::map<std::string, std::string>& properties() const override { return properties_; }
  SlideReader reader() const override { return SlideReader::direct; }
  int64_t decoded_tiles() const override { return decoded_; }

  void read(int64_t level, int64_t x, int64_t y, int64_t width, int64_t height, uint8_t* rgb,
            int64_t stride) override {
    SS_CHECK(level >= 0 && level < std::ssize(levels_), level);
    SS_CHECK(width > 0 && height > 0 && stride >= 3 * width);
    try {
      read_rect(static_cast<size_t>(level), {x, y, width, height}, rgb, stride);
    } catch (const Error& error) {
      fail_reading(*this, level, x, y, width, height, error.what());
    }
  }

  std::optional<std::string> stored_jpeg(int64_t level, int64_t x, int64_t y, int64_t width,
                                         int64_t height) override {
    SS_CHECK(level >= 0 && level < std::ssize(levels_), level);
    const View& view = views_[static_cast<size_t>(level)];
    const TiffLevel& stored = *view.stored;
    const Rect rect{x, y, width, height};
    if (view.denominator != 1 || !inside(stored, rect)) return std::nullopt;
    const int64_t tile = y / stored.tile_height * stored.across + x / stored.tile_width;
    if (rect != tile_rect(view, tile) || stored.counts[static_cast<size_t>(tile)] == 0)
      return std::nullopt;
    try {
      std::string& stream = workbench().stream;
      read_stream(stored, tile, stream);
      const JpegSize size = JpegDecoder::size_of(stream);
      if (size.width != width || size.height != height) return std::nullopt;
      return merge_jpeg_tables(stream, stored.tables, stored.color);
    } catch (const Error& error) {
      fail_reading(*this, level, x, y, width, height, error.what());
    }
  }

 private:
  void add_scaled(size_t index, double next_downsample) {
    const TiffLevel& stored = stored_[index];
    const double base = levels_.back().downsample;
    for (const int denominator : {2, 4, 8}) {
      const double downsample = base * denominator;
      if (stored.tile_width % denominator != 0 || stored.tile_height % denominator != 0 ||
          (next_downsample > 0 && downsample > next_downsample * 0.99))
        continue;
      levels_.push_back({(stored.width + denominator - 1) / denominator,
                         (stored.height + denominator - 1) / denominator, downsample,
                         stored.tile_width / denominator, stored.tile_height / denominator, true});
      views_.push_back({&stored, denominator});
    }
  }

  static bool inside(const TiffLevel& stored, const Rect& rect) {
    return rect.x >= 0 && rect.y >= 0 && rect.x + rect.width <= stored.width &&
           rect.y + rect.height <= stored.height;
  }
  static Rect tile_rect(const View& view, int64_t tile) {
    const int64_t width = view.stored->tile_width / view.denominator;
    const int64_t height = view.stored->tile_height / view.denominator;
    return {tile % view.stored->across * width, tile / view.stored->across * height, width, height};
  }

  void read_rect(size_t level, const Rect& rect, uint8_t* rgb, int64_t stride) {
    const Rect picture{0, 0, levels_[level].width, levels_[level].height};
    const Rect seen = overlap(rect, picture);
    if (seen != rect) fill(rgb, stride, rect.width, rect.height);
    if (seen.width <= 0 || seen.height <= 0) return;
    const View& view = views_[level];
    const SlideLevel& size = levels_[level];
    for (int64_t row = seen.y / size.tile_height; row * size.tile_height < seen.y + seen.height;
         ++row)
      for (int64_t column = seen.x / size.tile_width;
           column * size.tile_width < seen.x + seen.width; ++column) {
        const int64_t tile = row * view.stored->across + column;
        const Rect part = overlap(seen, tile_rect(view, tile));
        read_part(level, tile, part, rgb + (part.y - rect.y) * stride + 3 * (part.x - rect.x),
                  stride);
      }
  }

  // The part of one tile that is wanted, `part` in pixels of the level.
  void read_part(size_t level, int64_t tile, const Rect& part, uint8_t* rgb, int64_t stride) {
    const View& view = views_[level];
    if (view.stored->counts[static_cast<size_t>(tile)] == 0)
      return fill(rgb, stride, part.width, part.height);
    const Rect whole = tile_rect(view, tile);
    const Rect seen = overlap(whole, {0, 0, levels_[level].width, levels_[level].height});
    const uint64_t key = static_cast<uint64_t>(level) << 48 | static_cast<uint64_t>(tile);
    TileCache::Pixels pixels;
    if (part == seen) {
      pixels = cache_.find(key);
      if (!pixels) return decode(view, tile, part.width, part.height, rgb, stride);
    } else {
      pixels = cache_.get(key, 3 * whole.width * whole.height, [&](uint8_t* to) {
        decode(view, tile, whole.width, whole.height, to, 3 * whole.width);
      });
    }
    const uint8_t* from = pixels.get() + 3 * ((part.y - whole.y) * whole.width + part.x - whole.x);
    for (int64_t row = 0; row < part.height; ++row)
      std::copy_n(from + 3 * whole.width * row, 3 * part.width, rgb + stride * row);
  }

  void read_stream(const TiffLevel& stored, int64_t tile, std::string& stream) const {
    const auto index = static_cast<size_t>(tile);
    data_.read(stored.offsets[index], stored.counts[index], stream);
  }

  // width, height: of the scaled tile, or less at the picture's edge.
  void decode(const View& view, int64_t tile, int64_t width, int64_t height, uint8_t* rgb,
              int64_t stride) {
    Workbench& bench = workbench();
    read_stream(*view.stored, tile, bench.stream);
    bench.decoder.decode(bench.stream, view.stored->tables, view.stored->color, view.denominator,
                         width * view.denominator, height * view.denominator, rgb, stride);
    ++decoded_;
  }

  void fill(uint8_t* rgb, int64_t stride, int64_t width, int64_t height) const {
    for (int64_t row = 0; row < height; ++row)
      for (int64_t i = 0; i < width; ++i)
        std::copy_n(background_.data(), 3, rgb + row * stride + 3 * i);
  }

  std::filesystem::path file_;
  std::map<std::string, std::string> properties_;
  std::array<uint8_t, 3> background_;
  Descriptor data_;
  std::vector<TiffLevel> stored_;
  std::vector<SlideLevel> levels_;
  std::vector<View> views_;
  TileCache cache_;
  std::atomic<int64_t> decoded_{0};
};

}  // namespace

std::unique_ptr<Slide> open_tiff_slide(const Slide& truth, const SlideOptions& options,
                                       std::string& why_not) {
  std::vector<TiffLevel> stored = read_tiff_index(truth, why_not);
  if (stored.empty()) return nullptr;
  return std::make_unique<TiffSlide>(truth, options, std::move(stored));
}

}  // namespace stylescope
