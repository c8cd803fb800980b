#pragma once

#include "io/base/fields.hpp"
#include "stages/run_context.hpp"

#include <cstdint>

#include <nlohmann/json.hpp>

namespace stylescope {

struct SynthesizeConfig {
  int64_t samples = 20000;
  int64_t batch = 64;
  double psi = 1.0;

  void describe(Fields& f);
};

// Pairs (w_i, G(w_i)) for the encoder and the direction: w_i = G.map(z_i), truncated by psi, one w
// for all layers, constant noise. z_i is keyed by the seed and i (and the class of a conditional G
// is that of a keyed training image), so sample i is the same whatever the number of ranks. Reads
// gan/generator.safetensors (and, for a conditional G, ingest/images.h5); writes a shard a rank and
// pairs.h5 over them.
nlohmann::json run_synthesize(const SynthesizeConfig& config, RunContext& context);

}  // namespace stylescope
