#include "pipeline/bench_networks.hpp"

#include "io/base/error.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_report.hpp"
#include "pipeline/config.hpp"
#include "stages/gan/gan_networks.hpp"
#include "stages/training/half_precision.hpp"

#include <algorithm>

namespace stylescope {
namespace {

constexpr int64_t kClasses = 10;

BenchNetworks::Supervised supervised(const std::string& name, const SupervisedConfig& config,
                                     int64_t channels, int64_t outputs) {
  return {name,
          {config.depth, config.stem, channels, outputs, config.width},
          config.batch,
          config.bn_group,
          half_type(config.half_precision).value_or(torch::kFloat32)};
}

std::vector<int64_t> sizes_of(const torch::nn::Module& module) {
  std::vector<int64_t> sizes;
  for (const auto& parameter : module.parameters()) sizes.push_back(parameter.numel());
  return sizes;
}

}  // namespace

int64_t largest_divisor(int64_t n, int64_t limit) {
  int64_t divisor = std::min(n, limit);
  while (n % divisor != 0) --divisor;
  return divisor;
}

BenchNetworks networks_of(const TrainBench& bench) {
  BenchNetworks networks;
  networks.gan.batch = bench.batch;
  networks.gan.mbstd_group = largest_divisor(bench.batch, 4);
  networks.gan.channel_base = bench.channel_base;
  networks.gan.channel_max = bench.channel_max;
  networks.gan.augment.mode = "off";
  networks.gan.mapping_layers = bench.mapping_layers;
  if (bench.half) networks.gan.half_precision = type_name(*bench.half);
  networks.generator = generator_options(networks.gan, bench.resolution, bench.image_channels, 0);
  networks.discriminator = discriminator_options(networks.gan, networks.generator);
  ResNetOptions resnet;
  resnet.depth = bench.depth;
  resnet.width = bench.width;
  resnet.stem = bench.resolution > 64 ? "imagenet" : "small";
  resnet.input_channels = bench.image_channels;
  resnet.outputs = kClasses;
  networks.resnets.push_back({"ResNet-" + std::to_string(bench.depth), resnet, bench.batch,
                              largest_divisor(bench.batch, 16),
                              bench.half.value_or(torch::kFloat32)});
  return networks;
}

BenchNetworks networks_of(const Config& config) {
  constexpr int64_t kUnknownClasses = 2, kTileChannels = 3;
  const bool tiles = config.images == "tile";
  const int64_t resolution = tiles ? config.tile.tile_px : config.ingest.resolution;
  const int64_t channels = tiles ? kTileChannels : config.ingest.channels;
  BenchNetworks networks;
  networks.reduction = config.distributed.reduction;
  networks.gan = config.gan;
  networks.gan.conditional = false;
  networks.generator = generator_options(config.gan, resolution, channels, 0);
  networks.discriminator = discriminator_options(config.gan, networks.generator);
  networks.resnets.push_back(
      supervised("classifier", config.classifier, channels, kUnknownClasses));
  networks.resnets.push_back(
      supervised("encoder", config.encoder, channels, networks.generator.w_dim));
  return networks;
}

GradientMessages gradient_messages_of(const BenchNetworks& networks, const std::string& name,
                                      int64_t element_size) {
  const auto messages = [&](const torch::nn::Module& module) {
    GradientMessages found{name, {}};
    const auto borders = bucket_borders(sizes_of(module), element_size, networks.reduction);
    for (size_t i = borders.size() - 1; i > 0; --i)
      found.counts.push_back(borders[i] - borders[i - 1]);
    return found;
  };
  if (name == "G") return messages(*Generator(networks.generator));
  if (name == "D") return messages(*Discriminator(networks.discriminator));
  const auto resnet = std::ranges::find(networks.resnets, name, &BenchNetworks::Supervised::name);
  SS_CHECK(resnet != networks.resnets.end(), "no network ", name);
  return messages(*ResNet(resnet->network));
}

std::vector<GradientMessages> gradient_messages(const BenchNetworks& networks,
                                                int64_t element_size) {
  std::vector<GradientMessages> all;
  for (const char* name : {"G", "D"})
    all.push_back(gradient_messages_of(networks, name, element_size));
  for (const auto& resnet : networks.resnets)
    all.push_back(gradient_messages_of(networks, resnet.name, element_size));
  return all;
}

}  // namespace stylescope
