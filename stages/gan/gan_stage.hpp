#pragma once

#include "stages/gan/gan_config.hpp"
#include "stages/run_context.hpp"

#include <nlohmann/json.hpp>

namespace stylescope {

// Trains StyleGAN2 on the training split of images.h5. Writes gan/generator.safetensors (the moving
// average of G), gan/discriminator.safetensors, sample grids, snapshots/ and metrics.jsonl.
// Collective. Throws Error where the images do not suit (not square, not a power of two, fewer than
// one batch group) and Interrupted when asked to stop.
nlohmann::json run_gan(const GanConfig& config, RunContext& context);

}  // namespace stylescope
