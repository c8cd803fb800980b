#include "stages/gan/gan_networks.hpp"

namespace stylescope {

GeneratorOptions generator_options(const GanConfig& config, int64_t resolution, int64_t channels,
                                   int64_t classes) {
  GeneratorOptions options;
  options.z_dim = config.z_dim;
  options.w_dim = config.w_dim;
  options.c_dim = classes;
  options.resolution = resolution;
  options.image_channels = channels;
  options.channel_base = config.channel_base;
  options.channel_max = config.channel_max;
  options.mapping_layers = config.mapping_layers;
  options.clamp = config.clamp;
  return options;
}

DiscriminatorOptions discriminator_options(const GanConfig& config,
                                           const GeneratorOptions& generator) {
  DiscriminatorOptions options;
  options.c_dim = generator.c_dim;
  options.resolution = generator.resolution;
  options.image_channels = generator.image_channels;
  options.channel_base = config.channel_base;
  options.channel_max = config.channel_max;
  options.mapping_layers = config.mapping_layers;
  options.mbstd_group = config.mbstd_group;
  options.clamp = config.clamp;
  return options;
}

}  // namespace stylescope
