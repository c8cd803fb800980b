#pragma once

#include "io/image_set.hpp"
#include "stages/evaluate/evaluate_stage.hpp"
#include "stages/evaluate/test_split.hpp"

#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>
#include <torch/torch.h>

// What goes along with f's answer besides the label? A classifier that has learned the scanner, the
// centre or a marker gives images of one and the same label other answers by it.
namespace stylescope {

// Mid-ranks of `values` among those of the same label, centred and scaled to a standard deviation
// of one; 0 where all of a label are equal. values (N) float64, labels (N) int64 -> (N) float64.
torch::Tensor ranks_within(const torch::Tensor& values, const torch::Tensor& labels);

// Of every attribute of images.h5 that is known of some test images and differs between them
// (texts: each for itself, "centre = north"): attribute, images, overall (Spearman's correlation
// with f), within_label (the same of the ranks within each true label, so that what goes along with
// the label alone counts for nothing), with 95 % bootstrap intervals over subjects (of ranks given
// once); the strongest within_label first.
nlohmann::json associations(const ImageSet& images, const TestSplit& split,
                            const EvaluateConfig& config, uint64_t seed);

}  // namespace stylescope
