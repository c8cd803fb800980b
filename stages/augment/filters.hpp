#pragma once

#include <cstdint>

#include <torch/types.h>

// The wavelet filters of the augmentation (Karras et al. 2020, "Training Generative Adversarial
// Networks with Limited Data", appendix B). Float32 on the CPU, as in StyleGAN2-ADA.
namespace stylescope {

// What resampling reads on each side of a pixel (12 taps, at twice the resolution).
constexpr int64_t kResamplingReach = 3;
// What the image filter reads on each side (43 taps).
constexpr int64_t kImageFilterReach = 21;

// Low-pass filter of the symlet of 6 vanishing moments, (12), its taps summing to 1.
torch::Tensor resampling_filter();

// One filter for each octave, lowest first, from the symlet of 2 vanishing moments: (4, 43). The
// lowest passes a constant, the others remove it, and the sum of all is the identity.
torch::Tensor band_filters();

}  // namespace stylescope
