#include "stages/gan/gan_networks.hpp"

#include "io/base/error.hpp"
#include "stages/training/half_precision.hpp"

namespace stylescope {

GeneratorOptions generator_options(const GanConfig& config, int64_t resolution, int64_t channels,
                                   int64_t classes) {
  GeneratorOptions options;
  options.z_dim = config.z_dim;
  options.w_dim = config.w_dim;
  options.c_dim = classes;
  options.resolution = resolution;
  options.image_channels = channels;
  options.channel_base = config.channels(resolution);
  options.channel_max = config.channel_max;
  options.mapping_layers = config.mapping_layers;
  options.numerics.half = half_type(config.half_precision);
  options.clamp = config.clamp > 0 || !options.numerics.half ? config.clamp : kHalfClamp;
  return options;
}

DiscriminatorOptions discriminator_options(const GanConfig& config,
                                           const GeneratorOptions& generator) {
  DiscriminatorOptions options;
  options.c_dim = generator.c_dim;
  options.resolution = generator.resolution;
  options.image_channels = generator.image_channels;
  options.channel_base = generator.channel_base;
  options.channel_max = config.channel_max;
  options.mapping_layers = config.mapping_layers;
  options.mbstd_group = config.mbstd_group;
  options.residual = config.d_architecture == "resnet";
  options.numerics = generator.numerics;
  options.clamp = generator.clamp;
  return options;
}

size_t parameters_of_layers(const DiscriminatorImpl& discriminator, int64_t layers) {
  size_t count = 0;
  std::string layer;
  int64_t seen = 0;
  for (const auto& parameter : discriminator.named_parameters()) {
    const auto& name = parameter.key();
    const auto owner = name.substr(0, name.rfind('.'));
    if (owner != layer && ++seen > layers) return count;
    validate(owner.rfind("b4.", 0) != 0 && owner.rfind("mapping.", 0) != 0, "gan.freeze_d is ",
             layers, ", but D has ", seen - 1,
             " layers before its last block, which must learn; choose at most that");
    layer = owner;
    ++count;
  }
  SS_CHECK(false, "a discriminator without a last block");
  return count;
}

}  // namespace stylescope
