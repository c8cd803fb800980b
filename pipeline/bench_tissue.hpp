#pragma once

#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// Pictures that codecs treat as they treat stained tissue: pink ground, dark nuclei of about ten
// pixels, empty holes, fine texture, and the losses of a scanner's JPEG. Not for training.
struct TissuePictures {
  torch::Tensor pixels;            // (n, channels, size, size) uint8
  std::vector<std::string> jpegs;  // of three channels: files that decode to the pixels; else none
};
// Light through two stains after Beer and Lambert, with the stain vectors of Ruifrok and Johnston
// (2001); a function of `seed`.
TissuePictures tissue_pictures(int64_t count, int64_t channels, int64_t size, uint64_t seed);

}  // namespace stylescope
