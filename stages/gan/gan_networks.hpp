#pragma once

#include "stages/gan/gan_config.hpp"
#include "stages/networks/discriminator.hpp"
#include "stages/networks/generator.hpp"

#include <cstdint>

namespace stylescope {

// The networks of a configuration, for images of resolution x resolution; `classes` 0:
// unconditional.
GeneratorOptions generator_options(const GanConfig& config, int64_t resolution, int64_t channels,
                                   int64_t classes);
DiscriminatorOptions discriminator_options(const GanConfig& config,
                                           const GeneratorOptions& generator);

}  // namespace stylescope
