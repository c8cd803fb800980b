#pragma once

#include <cstdint>
#include <string>

#include <torch/torch.h>

// What f is given and what it gives back, whatever is behind it.
namespace stylescope {

// uint8 (N, C, H, H) -> (N, channels, resolution, resolution), uint8, CPU, contiguous: grey is
// repeated for RGB, RGB becomes luminance (as read_picture has it), sizes change by area averaging
// or, upwards, bilinearly.
torch::Tensor images_for(const torch::Tensor& images, int64_t channels, int64_t resolution);

// f's scores for `images` images, of `classes` classes -> probabilities (images, classes), float64
// CPU. `scores`: (N, classes), or, of two classes, (N, 1) or (N): those of the second one.
// "logits": softmax, of one column the logistic function. "probabilities": must lie in [0, 1] and,
// of several columns, add up to 1 (to 1e-3: rounding of half precision). Throws Error beginning
// with `who` for another shape, numbers that are not finite, and no probabilities.
torch::Tensor probabilities_of(const torch::Tensor& scores, const std::string& kind, int64_t images,
                               int64_t classes, const std::string& who);

}  // namespace stylescope
