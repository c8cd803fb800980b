#pragma once

#include "io/image_set.hpp"
#include "stages/evaluate/evaluate_stage.hpp"
#include "stages/latent/trained_networks.hpp"
#include "stages/run_context.hpp"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <torch/torch.h>

// Only a phantom's cause is known: does an explanation move it, and nothing else? Along alpha the
// joint width (which causes the label) and the marker's brightness (which does not) are measured in
// the generated pictures themselves.
namespace stylescope {

// Were the images drawn by stages/phantom (from images.h5's source)?
bool is_phantom(const ImageSet& images);

// Change of each measurement from lambda = -sd to +sd standard deviations along alpha, image by
// image, each divided by the standard deviation of that measurement over the real test images. (n),
// float64.
struct PhantomChange {
  torch::Tensor causing, nuisance;
  std::vector<std::string> subjects;
};

// Figures: images; sd; causing, nuisance: mean absolute change {value, low, high}; causing_signed,
// nuisance_signed: mean change; ratio: of the two mean absolute changes, all with 95 % bootstrap
// intervals over subjects; moves: "cause", "nuisance", "both" or "neither", by whose mean change's
// interval lies beyond half a standard deviation.
nlohmann::json summarise(const PhantomChange& change, const EvaluateConfig& config, uint64_t seed);

// Of config.phantom_images images of the test split, keyed. Besides summarise():
// measured_width_pearson, the correlation of measured and true joint width over the real test
// images: is the measurement itself to be trusted? Collective.
nlohmann::json evaluate_phantom(const ImageSet& images, TrainedNetworks& networks,
                                const EvaluateConfig& config, RunContext& context);

}  // namespace stylescope
