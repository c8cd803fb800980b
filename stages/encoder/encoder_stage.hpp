#pragma once

#include "stages/run_context.hpp"
#include "stages/supervised/supervised_config.hpp"

#include <cstdint>

#include <nlohmann/json.hpp>

namespace stylescope {

// The encoder stage's section.
struct EncoderConfig : SupervisedConfig {
  bool standardize = true;
  double held_out = 0.1;

  void describe(Fields& f);
  void check() const;
};

// Trains the encoder E: X -> W on synthetic pairs by the mean squared error on w (Schutte et al.
// 2020, section 2), standardised per dimension or not. Reads synthesize/pairs.h5,
// gan/generator.safetensors and ingest/images.h5 (training and validation images, for the
// reconstruction error and its baseline; never the test split). Writes encoder.safetensors
// (stages/networks/encoder.hpp) and metrics.jsonl: training lines (loss, learning_rate, non_finite)
// and, at the end of every epoch, r2 on the held-out pairs. Collective.
nlohmann::json run_encoder(const EncoderConfig& config, RunContext& context);

}  // namespace stylescope
