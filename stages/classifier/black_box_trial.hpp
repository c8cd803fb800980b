#pragma once

#include "stages/classifier/classifier_config.hpp"
#include "stages/run_context.hpp"

#include <nlohmann/json.hpp>

namespace stylescope {

// An f that is there already is not trained but tried, before the stages that cost hours: on all
// validation images, and on as many as 10,000 training images. Writes black_box.json
// (stages/blackbox/description.hpp) and, of a TorchScript file, its copy. Figures of each of the
// two splits, val_ and train_: images, auc, accuracy (at one half), loss (of the pooled score),
// brier, calibration_error; and images_per_second. Throws Error where f cannot be asked, answers
// what it must not, or gives every image the same score. Collective.
nlohmann::json try_black_box(const ClassifierConfig& config, RunContext& context);

}  // namespace stylescope
