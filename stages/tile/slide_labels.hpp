#pragma once

#include "stages/tile/coverage.hpp"
#include "stages/tile/slide_list.hpp"
#include "stages/tile/tile_grid.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace stylescope {

// What says which tiles of one slide are positive: outlines, a mask TIFF, or the slide's own class.
class SlideLabels {
 public:
  // Throws Error when outlines or mask cannot be read, or do not belong to this slide.
  SlideLabels(const ListedSlide& listed, const Slide& slide, const TileConfig& config);

  struct Answer {
    int64_t label = -1;   // -1: between negative and positive
    double positive = 0;  // covered share of the tile, 0..1; NaN where the slide's class decides
    bool near_border = false;
  };
  // Of the tile at (x, y), level 0 pixels. From any thread.
  Answer of(double x, double y, const TileGrid& grid, double border) const;

  // Outlines for the overview; empty for masks.
  const std::vector<Shape>& shapes() const { return shapes_; }
  // For the log: shapes passed over, groups that are unknown, outlines outside the slide.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  double covered(double x, double y, double width, double height) const;
  double masked(double x, double y, double width, double height) const;
  [[noreturn]] void fail_without_positive(const ListedSlide& listed) const;
  void open_mask(const ListedSlide& listed, const Slide& slide);

  const TileConfig& config_;
  int64_t slide_label_ = -1;
  std::vector<Shape> shapes_;
  std::unique_ptr<Coverage> coverage_;
  std::unique_ptr<Slide> mask_;
  double mask_x_ = 1, mask_y_ = 1;  // pixels of the mask's level 0 per level 0 pixel of the slide
  std::vector<std::string> problems_;
};

}  // namespace stylescope
