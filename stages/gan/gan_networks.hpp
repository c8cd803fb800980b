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

// How many of D's parameters, in the order of registration, belong to its first `layers` layers:
// fromrgb, conv0, conv1, skip of the image's resolution, then conv0, conv1, skip of each smaller
// one (freeze-D, Mo et al. 2020). Throws Error when D has fewer layers before its last block.
size_t parameters_of_layers(const DiscriminatorImpl& discriminator, int64_t layers);

}  // namespace stylescope
