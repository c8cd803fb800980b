#pragma once

#include "distributed/random.hpp"
#include "io/base/fields.hpp"

#include <torch/torch.h>

namespace stylescope {

// Random changes of training images that leave their meaning alone. All off by default: which ones
// the anatomy allows (left and right knees, the orientation of a slide) is for the user to say.
struct AugmentConfig {
  bool flip_horizontal = false;
  bool flip_vertical = false;
  double shift = 0;       // up to this share of the side, whole pixels, the border repeated
  double brightness = 0;  // adds up to +- this share of the full range
  double contrast = 0;    // scales by 1 +- up to this around the image's mean

  void describe(Fields& f);
  bool any() const;
};

// uint8 (N, C, H, W) -> the same images changed, values still in 0..255 (not rounded), in the dtype
// and on the device of `options`. Image i is changed by the draw for (key, samples[i]): who asks
// for it, and beside which others, does not matter.
torch::Tensor augment(const torch::Tensor& images, const AugmentConfig& config,
                      const RandomKey& key, at::ArrayRef<int64_t> samples,
                      const torch::TensorOptions& options);

}  // namespace stylescope
