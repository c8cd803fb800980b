#pragma once

#include "stages/classifier/classifier_config.hpp"
#include "stages/run_context.hpp"

#include <nlohmann/json.hpp>

namespace stylescope {

// Trains the classifier f, or tries one that is there already (black_box_trial.hpp): cross entropy
// on the training split, the weights with the best validation AUC (of the pooled score) are
// published. Reads ingest/images.h5 (never its test split); writes classifier.safetensors
// (stages/networks/classifier.hpp) and metrics.jsonl: training lines (loss, accuracy,
// learning_rate, non_finite) and, at the end of every epoch, val_auc, val_accuracy and val_loss.
// Collective.
nlohmann::json run_classifier(const ClassifierConfig& config, RunContext& context);

}  // namespace stylescope
