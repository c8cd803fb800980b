#pragma once

#include "stages/phantom/slide_nuclei.hpp"
#include "stages/phantom/tissue_fields.hpp"

#include <cstdint>

// Draws blocks of a slide phantom. One per thread: it keeps the fields of the block at hand.
namespace stylescope {

class SlidePainter {
 public:
  SlidePainter(const SlideAnatomy& anatomy, double mpp);
  // The block whose first pixel is (x, y), multiples of kBlock, as interleaved RGB (kBlock, kBlock,
  // 3). false: nothing but glass.
  bool paint(int64_t x, int64_t y, uint8_t* rgb);

 private:
  void fill_base(int64_t x, int64_t y);
  void fill_fat(int64_t x, int64_t y);
  void blacken(int64_t x, int64_t y, uint8_t* rgb) const;

  const SlideAnatomy& plan_;
  double mpp_;
  TissueFields fields_;
  StainCanvas canvas_;
};

}  // namespace stylescope
