#pragma once

#include "io/base/fields.hpp"
#include "stages/run_context.hpp"

#include <cstdint>

#include <nlohmann/json.hpp>

namespace stylescope {

struct DirectionConfig {
  double threshold = 0.5;
  double c = 1.0;
  double held_out = 0.2;
  int64_t batch = 64;

  void describe(Fields& f);
};

// The direction alpha: f labels the synthetic images, y_i = f(G(w_i)) >= threshold, and a logistic
// regression f~ of y on w, fitted in float64 on the first part of the samples, gives alpha and beta
// (Schutte et al. 2020, section 2). The held-out last part says how well f~ imitates f. Reads
// classifier/ and synthesize/; writes direction.safetensors (stages/latent/direction_file.hpp).
nlohmann::json run_direction(const DirectionConfig& config, RunContext& context);

}  // namespace stylescope
