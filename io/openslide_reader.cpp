#include "io/openslide_reader.hpp"

#include "io/base/error.hpp"
#include "io/base/simd.hpp"
#include "io/slide_failure.hpp"
#include "io/tiff_file.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <openslide.h>
#include <utility>

namespace stylescope {
namespace {

// OpenSlide itself cuts larger regions into squares of this side.
constexpr int64_t kBlock = 4096;
// Buffers up to this many pixels stay with their thread.
constexpr int64_t kKeptPixels = int64_t{1} << 20;
// A tile is decoded whole: what claims more than this is a damaged file, and OpenSlide would abort
// the process over it.
constexpr int64_t kMostTilePixels = int64_t{1} << 28;

int64_t number_of(const std::map<std::string, std::string>& properties, const std::string& name) {
  const auto found = properties.find(name);
  int64_t value = 0;
  if (found != properties.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

STYLESCOPE_SIMD
uint32_t and_all(const uint32_t* argb, int64_t count) {
  uint32_t all = ~uint32_t{0};
  for (int64_t i = 0; i < count; ++i) all &= argb[i];
  return all;
}

// Four pixels at a time, by one byte shuffle: in memory they are B, G, R, A.
STYLESCOPE_SIMD
void opaque_to_rgb(const uint32_t* argb, int64_t count, uint8_t* rgb) {
  using Bytes [[gnu::vector_size(16)]] = uint8_t;
  int64_t i = 0;
  if constexpr (std::endian::native == std::endian::little)
    // Four bytes too many are written each time, and written over the next time.
    for (; i + 6 <= count; i += 4) {
      Bytes pixels;
      std::memcpy(&pixels, argb + i, sizeof pixels);
      pixels = __builtin_shufflevector(pixels, pixels, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 3, 7,
                                       11, 15);
      std::memcpy(rgb + 3 * i, &pixels, sizeof pixels);
    }
  for (; i < count; ++i) {
    rgb[3 * i] = static_cast<uint8_t>(argb[i] >> 16);
    rgb[3 * i + 1] = static_cast<uint8_t>(argb[i] >> 8);
    rgb[3 * i + 2] = static_cast<uint8_t>(argb[i]);
  }
}

}  // namespace

std::array<uint8_t, 3> background_of(const std::map<std::string, std::string>& properties) {
  std::array<uint8_t, 3> rgb{255, 255, 255};
  const auto found = properties.find(OPENSLIDE_PROPERTY_NAME_BACKGROUND_COLOR);
  if (found == properties.end() || found->second.size() != 6) return rgb;
  uint32_t value = 0;
  const char* end = found->second.data() + found->second.size();
  const auto parsed = std::from_chars(found->second.data(), end, value, 16);
  if (parsed.ec == std::errc() && parsed.ptr == end)
    for (size_t c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>(value >> (16 - 8 * c));
  return rgb;
}

void argb_over(const uint32_t* argb, int64_t count, const std::array<uint8_t, 3>& background,
               uint8_t* rgb) {
  if (and_all(argb, count) >> 24 == 255) return opaque_to_rgb(argb, count, rgb);
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t open = 255 - (argb[i] >> 24);
    for (size_t c = 0; c < 3; ++c) {
      const uint32_t value = (argb[i] >> (16 - 8 * c)) & 255;
      const uint32_t sum = value + (background[c] * open + 127) / 255;
      rgb[3 * i + static_cast<int64_t>(c)] = static_cast<uint8_t>(std::min<uint32_t>(sum, 255));
    }
  }
}

class OpenslideReader::Handle {
 public:
  explicit Handle(const std::filesystem::path& file) : slide_(openslide_open(file.c_str())) {}
  ~Handle() {
    if (slide_) openslide_close(slide_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  openslide_t* get() const { return slide_; }
  bool recognised() const { return slide_ != nullptr; }
  const char* error() const {
    return slide_ ? openslide_get_error(slide_) : "OpenSlide does not recognise it any more";
  }

 private:
  openslide_t* slide_;
};

struct OpenslideReader::Block {
  int64_t level, x, y, width, height;
  uint8_t* rgb;
  int64_t stride;
};

OpenslideReader::OpenslideReader(const std::filesystem::path& file) : file_(file) {
  silence_tiff_warnings();
  handle_ = std::make_shared<Handle>(file);
  validate(handle_->recognised(), file.string(),
           ": is no slide (OpenSlide recognises no format of it); check that it is a whole-slide "
           "image, or copy or download it again");
  const char* error = handle_->error();
  validate(!error, file.string(), ": is a damaged slide (", error ? error : "",
           "); copy or download it again");
  openslide_t* slide = handle_->get();
  for (const char* const* name = openslide_get_property_names(slide); *name; ++name)
    if (const char* value = openslide_get_property_value(slide, *name)) properties_[*name] = value;
  background_ = background_of(properties_);
  for (int32_t i = 0; i < openslide_get_level_count(slide); ++i) {
    SlideLevel level;
    openslide_get_level_dimensions(slide, i, &level.width, &level.height);
    level.downsample = openslide_get_level_downsample(slide, i);
    const std::string prefix = "openslide.level[" + std::to_string(i) + "].tile-";
    level.tile_width = number_of(properties_, prefix + "width");
    level.tile_height = number_of(properties_, prefix + "height");
    validate(level.tile_width == 0 || level.tile_height <= kMostTilePixels / level.tile_width,
             file.string(), ": is a damaged slide (tiles of ", level.tile_width, " x ",
             level.tile_height, " pixels); copy or download it again");
    levels_.push_back(level);
  }
  validate(!levels_.empty() && levels_[0].width > 0 && levels_[0].height > 0, file.string(),
           ": holds no level with pixels; copy or download it again");
}

OpenslideReader::~OpenslideReader() = default;

std::shared_ptr<OpenslideReader::Handle> OpenslideReader::current() const {
  const std::scoped_lock lock(mutex_);
  return handle_;
}

void OpenslideReader::replace(const std::shared_ptr<Handle>& old, std::shared_ptr<Handle> fresh) {
  const std::scoped_lock lock(mutex_);
  if (handle_ == old) handle_ = std::move(fresh);
}

void OpenslideReader::read(int64_t level, int64_t x, int64_t y, int64_t width, int64_t height,
                           uint8_t* rgb, int64_t stride) {
  SS_CHECK(level >= 0 && level < std::ssize(levels_), level);
  SS_CHECK(width > 0 && height > 0 && stride >= 3 * width);
  for (int64_t top = 0; top < height; top += kBlock)
    for (int64_t left = 0; left < width; left += kBlock)
      read_block({level, x + left, y + top, std::min(kBlock, width - left),
                  std::min(kBlock, height - top), rgb + top * stride + 3 * left, stride});
}

void OpenslideReader::read_block(const Block& b) {
  thread_local std::vector<uint32_t> kept;
  std::vector<uint32_t> large;
  std::vector<uint32_t>& argb = b.width * b.height <= kKeptPixels ? kept : large;
  if (std::ssize(argb) < b.width * b.height) argb.resize(static_cast<size_t>(b.width * b.height));

  const double downsample = levels_[static_cast<size_t>(b.level)].downsample;
  const auto x = std::llround(static_cast<double>(b.x) * downsample);
  const auto y = std::llround(static_cast<double>(b.y) * downsample);
  const auto fill = [&](const Handle& handle) {
    if (!handle.error())
      openslide_read_region(handle.get(), argb.data(), x, y, static_cast<int32_t>(b.level), b.width,
                            b.height);
    return handle.error() == nullptr;
  };
  const std::shared_ptr<Handle> shared = current();
  if (!fill(*shared)) {
    // Spoilt by this place, or by another thread's: a handle of our own tells.
    auto own = std::make_shared<Handle>(file_);
    if (fill(*own)) {
      replace(shared, std::move(own));
    } else {
      const std::string why = own->error();
      replace(shared, std::make_shared<Handle>(file_));
      fail_reading(*this, b.level, b.x, b.y, b.width, b.height, why);
    }
  }
  for (int64_t row = 0; row < b.height; ++row)
    argb_over(argb.data() + row * b.width, b.width, background_, b.rgb + row * b.stride);
}

int64_t bare_openslide_loop(const std::filesystem::path& file, int64_t tile_px) {
  openslide_t* slide = openslide_open(file.c_str());
  validate(slide != nullptr, file.string(), ": OpenSlide does not open it; choose another slide");
  int64_t width = 0, height = 0, tiles = 0;
  openslide_get_level0_dimensions(slide, &width, &height);
  std::vector<uint32_t> argb(static_cast<size_t>(tile_px * tile_px));
  for (int64_t y = 0; y + tile_px <= height; y += tile_px)
    for (int64_t x = 0; x + tile_px <= width; x += tile_px, ++tiles)
      openslide_read_region(slide, argb.data(), x, y, 0, tile_px, tile_px);
  const char* error = openslide_get_error(slide);
  const std::string why = error ? error : "";
  openslide_close(slide);
  validate(why.empty(), file.string(), ": OpenSlide cannot read it (", why,
           "); choose another slide");
  return tiles;
}

}  // namespace stylescope
