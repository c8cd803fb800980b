#pragma once

#include "io/image_set.hpp"
#include "stages/audit/image_print.hpp"
#include "stages/tile/slide_plan.hpp"
#include "stages/tile/stain.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// A tile as read: why it is left out, or its pixels as they will be stored.
struct ReadTile {
  TileFate fate = TileFate::kept;
  TileQuality quality;
  EncodedImage image;   // kept ones
  ImagePrint print;     // of their pixels, where there is an audit
  std::string problem;  // unreadable ones
};

// Where the time of reading went, seconds over all threads.
struct ReadTimes {
  std::atomic<double> decode{0}, resample{0}, filter{0}, encode{0};
};

// Reads the tiles of one slide, from any thread.
class TileReader {
 public:
  TileReader(SlidePlan& plan, const TileConfig& config);

  // Fits the slide's stain on places that will be tiles and maps it to `target`; "" or why the
  // slide is left as it is.
  std::string normalise_to(const StainFit& target, uint64_t seed);
  // The fit alone; nothing (and why) where there is too little stain.
  std::optional<StainFit> fit(uint64_t seed, std::string& why) const;

  ReadTile read(const TilePlace& place) const;
  // (3, tile_px, tile_px) uint8, normalised, of the tile whose corner lies at (x, y). Throws Error.
  torch::Tensor pixels(double x, double y) const;
  const ReadTimes& times() const { return times_; }

 private:
  // What of the level a tile needs.
  struct Window {
    ResampleAxis x, y;
    SourceSpan columns, rows;
    bool copied = false;  // whole pixels at their own scale
  };
  Window window_of(double x, double y) const;
  torch::Tensor raw_pixels(double x, double y) const;
  void normalise(torch::Tensor& tile) const;
  std::optional<std::string> stored_jpeg(int64_t x, int64_t y) const;
  EncodedImage encode(const TilePlace& place, const torch::Tensor& pixels) const;

  SlidePlan& plan_;
  const TileConfig& config_;
  ResampleFilter filter_;
  Storage storage_;
  std::unique_ptr<StainMap> stain_;
  mutable ReadTimes times_;
};

}  // namespace stylescope
