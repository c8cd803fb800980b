#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// `count` of the images, so that labels come as evenly as they can and, within a label, f's scores
// are spread: a label's images, by rising score, are cut into as many parts as there are to choose,
// and one is drawn from each, keyed by `seed`, of a subject not yet chosen where there is one.
// labels (N) int64, scores (N) float64. Returns positions 0..N-1, by label and then score; all of
// them when count >= N.
std::vector<int64_t> choose_images(const torch::Tensor& labels, const torch::Tensor& scores,
                                   const std::vector<std::string>& subjects, int64_t count,
                                   uint64_t seed);

}  // namespace stylescope
