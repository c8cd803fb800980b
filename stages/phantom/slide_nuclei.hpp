#pragma once

#include "stages/phantom/tissue_fields.hpp"

#include <array>
#include <cstdint>

// The cells of the slide phantom.
namespace stylescope {

// Amounts of stain over a block, in natural units of optical density along each stain's vector.
struct StainCanvas {
  std::array<float, kBlock * kBlock> haematoxylin, eosin;
};

// Draws the cells whose parts fall into the block at (x, y): small dark round nuclei densely in
// normal tissue, spindles in the stroma, and in tumour large pale oval ones with a nucleolus, each
// in its own cytoplasm. A cell belongs where its centre lies.
void draw_cells(const SlideAnatomy& anatomy, const TissueFields& fields, double mpp, int64_t x,
                int64_t y, StainCanvas& canvas);

}  // namespace stylescope
