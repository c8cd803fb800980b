#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// A whole-slide image: a pyramid of levels, level 0 the largest. Two readers give the same pixels:
//   openslide  everything that OpenSlide opens, and the truth in tests
//   direct     tiled TIFF whose tiles are JPEG (Aperio, generic TIFF, Camelyon16), by libtiff and
//   libjpeg-turbo
namespace stylescope {

enum class SlideReader { automatic, openslide, direct };
std::string to_string(SlideReader reader);

struct SlideOptions {
  SlideReader reader = SlideReader::automatic;  // automatic: direct where it can, else openslide
  // Bytes of decoded tiles that the direct reader keeps (OpenSlide 3.4.1 has a cache of 32 MiB a
  // handle, not ours to set).
  int64_t cache_bytes = int64_t{256} << 20;
  // direct only: levels of 1/2, 1/4, 1/8 between the stored ones, scaled by the decoder in DCT
  // space. Fast, and not what area averaging gives.
  bool dct_scaling = false;
};

struct SlideLevel {
  int64_t width = 0, height = 0;            // pixels
  double downsample = 1;                    // level 0 pixels per pixel
  int64_t tile_width = 0, tile_height = 0;  // as stored; 0: unknown
  bool dct_scaled = false;                  // not stored: made by the decoder
};

class Slide {
 public:
  virtual ~Slide() = default;

  virtual const std::filesystem::path& file() const = 0;
  virtual const std::vector<SlideLevel>& levels() const = 0;
  // OpenSlide's names ("openslide.mpp-x", "tiff.XResolution", ...), whichever the reader.
  virtual const std::map<std::string, std::string>& properties() const = 0;
  // openslide or direct, never automatic.
  virtual SlideReader reader() const = 0;
  // The rectangle [x, x+width) x [y, y+height) in pixels of `level`, interleaved RGB, `stride`
  // bytes from row to row. What lies outside the slide, or was not scanned, is the slide's
  // background colour (white, where it names none). From any thread. Throws Error naming the file,
  // the level and the place, when it cannot be decoded; the slide can still be used elsewhere.
  virtual void read(int64_t level, int64_t x, int64_t y, int64_t width, int64_t height,
                    uint8_t* rgb, int64_t stride) = 0;
  // When that rectangle is exactly one stored JPEG tile: a JPEG file of its own (tables merged,
  // colour space marked) that decodes to the pixels of read(). Else nothing.
  virtual std::optional<std::string> stored_jpeg(int64_t level, int64_t x, int64_t y, int64_t width,
                                                 int64_t height) = 0;
  // Stored tiles decoded so far (direct reader; else 0): each once, while the cache is large
  // enough.
  virtual int64_t decoded_tiles() const = 0;
};

// Throws Error: file, what is wrong (not there, empty, no slide, cut off, damaged, no level with
// pixels), what to do. SlideReader::direct throws where the direct reader does not fit, saying why.
std::unique_ptr<Slide> open_slide(const std::filesystem::path& file,
                                  const SlideOptions& options = {});

// Do the first bytes and the ending look like something that open_slide might open? Cheap: for
// listing folders. Empty and damaged files with a slide's ending count: they are to be named, not
// passed over.
bool is_slide_name(const std::filesystem::path& file);

// The level to read from for `downsample` level 0 pixels per pixel: the coarsest that is not
// coarser (within 0.1 %); level 0 when all are coarser. DCT-scaled levels count.
int64_t best_level(const Slide& slide, double downsample);

}  // namespace stylescope
