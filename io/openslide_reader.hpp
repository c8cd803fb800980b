#pragma once

#include "io/slide.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

// Slides by OpenSlide: every format that it opens.
namespace stylescope {

// One handle of the library, and a mutex around swapping it: an error makes a handle useless for
// good, so a bad place costs a new handle. Pixels of a level become level 0 coordinates by rounding
// x * downsample. Where that is no whole number (a downsample like 2.0003), OpenSlide answers with
// an interpolation between neighbouring pixels, shifted by less than half a pixel.
class OpenslideReader final : public Slide {
 public:
  // Throws Error as open_slide does.
  explicit OpenslideReader(const std::filesystem::path& file);
  ~OpenslideReader() override;

  const std::filesystem::path& file() const override { return file_; }
  const std::vector<SlideLevel>& levels() const override { return levels_; }
  const std::map<std::string, std::string>& properties() const override { return properties_; }
  SlideReader reader() const override { return SlideReader::openslide; }
  void read(int64_t level, int64_t x, int64_t y, int64_t width, int64_t height, uint8_t* rgb,
            int64_t stride) override;
  std::optional<std::string> stored_jpeg(int64_t, int64_t, int64_t, int64_t, int64_t) override {
    return std::nullopt;
  }
  int64_t decoded_tiles() const override { return 0; }

 private:
  class Handle;
  struct Block;
  std::shared_ptr<Handle> current() const;
  void replace(const std::shared_ptr<Handle>& old, std::shared_ptr<Handle> fresh);
  void read_block(const Block& block);

  std::filesystem::path file_;
  mutable std::mutex mutex_;
  std::shared_ptr<Handle> handle_;
  std::vector<SlideLevel> levels_;
  std::map<std::string, std::string> properties_;
  std::array<uint8_t, 3> background_{};
};

// "openslide.background-color" (hexadecimal RRGGBB) as RGB; white where it is missing.
std::array<uint8_t, 3> background_of(const std::map<std::string, std::string>& properties);

// Premultiplied ARGB (OpenSlide's) over `background` to interleaved RGB, rounded to nearest.
void argb_over(const uint32_t* argb, int64_t count, const std::array<uint8_t, 3>& background,
               uint8_t* rgb);

// What `bench tile` compares with: openslide_read_region over all whole tiles of level 0, row by
// row, into one buffer, and nothing else. Returns how many. Throws Error.
int64_t bare_openslide_loop(const std::filesystem::path& file, int64_t tile_px);

}  // namespace stylescope
