#pragma once

#include "distributed/gradient_reducer.hpp"
#include "stages/gan/gan_config.hpp"
#include "stages/networks/discriminator.hpp"
#include "stages/networks/generator.hpp"
#include "stages/networks/resnet.hpp"

#include <cstdint>
#include <string>
#include <vector>

// What the benchmarks train: the networks of a configuration, or of `bench train`'s options.
namespace stylescope {

struct Config;
struct TrainBench;

struct BenchNetworks {
  GanConfig gan;
  GeneratorOptions generator;
  DiscriminatorOptions discriminator;
  struct Supervised {
    std::string name;
    ResNetOptions network;
    int64_t batch = 0, group = 1;  // of a step; of a batch normalisation
    torch::Dtype training_type = torch::kFloat32;
  };
  std::vector<Supervised> resnets;  // the first is trained by the benchmarks
  ReducerOptions reduction;
};

// Of fast operations.
BenchNetworks networks_of(const TrainBench& bench);
// Without a data set the number of classes is not known: two.
BenchNetworks networks_of(const Config& config);

// Numbers of elements of the messages in which a network's gradient is all_reduced, in the order in
// which they leave.
struct GradientMessages {
  std::string network;
  std::vector<int64_t> counts;
};
std::vector<GradientMessages> gradient_messages(const BenchNetworks& networks,
                                                int64_t element_size);
// Of one of them: "G", "D", or a ResNet's name.
GradientMessages gradient_messages_of(const BenchNetworks& networks, const std::string& name,
                                      int64_t element_size);

// The largest divisor of n up to `limit`.
int64_t largest_divisor(int64_t n, int64_t limit);

}  // namespace stylescope
