#include "stages/supervised/supervised_config.hpp"

#include "io/base/error.hpp"
#include "stages/networks/resnet_io.hpp"
#include "stages/training/half_precision.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
void SupervisedConfig::describe_shared(Fields& f) {
  f.field("depth", depth, {18, 50}, "layers of the ResNet: 18, 34 or 50 (the paper's)");
  f.choice("stem", stem, {"imagenet", "small"},
           "small: 3x3 and no pooling, for images of 16 to 64 px");
  f.field("width", width, {1, 1024},
          "channels of the first stage (64 in the paper; fewer are faster)");
  f.field("init", init,
          "safetensors file with a ResNet's weights (torchvision's names) to start from; fc.* "
          "starts anew");
  f.field("epochs", epochs, {0, 1e6}, "training length in passes over the training images");
  f.field("steps", steps, {0, 1'000'000'000},
          "training length in steps, instead of epochs (0: by epochs)");
  f.field("batch", batch, {1, 65536}, "images a step, all ranks together; a multiple of bn_group");
  f.field("bn_group", bn_group, {1, 65536},
          "images that share the statistics of a batch normalisation; dealt whole to ranks");
  f.choice("optimizer", optimizer, {"adamw", "sgd"}, "how gradients become steps");
  f.field("learning_rate", learning_rate, {0, 10}, "at the schedule's peak");
  f.field("weight_decay", weight_decay, {0, 10}, "decoupled for adamw, an L2 term for sgd");
  f.field("momentum", momentum, {0, 0.9999}, "of sgd; adamw uses 0.9 and 0.999");
  f.choice("schedule", schedule, {"cosine", "one_cycle", "constant"}, "the learning rate's course");
  f.field("warmup", warmup, {0, 0.9},
          "share of the steps in which the learning rate rises (one_cycle: 0 means 0.3)");
  f.choice(
      "half_precision", half_precision, {"off", "bfloat16"},
      "bfloat16: the training's convolutions; weights, statistics and evaluation stay float32");
  f.section("augment", augment, "random changes of training images");
  f.field("log_every", log_every, {1, 1000000}, "steps between lines of metrics.jsonl");
  f.section("checkpoint", checkpoint, "when training state is written");
}

void SupervisedConfig::check_shared(const std::string& section) const {
  if (depth != 18 && depth != 34 && depth != 50)
    throw UsageError(detail::concatenate(section, ".depth is ", depth,
                                         " (there is no such ResNet here); use 18, 34 or 50"));
  if (steps == 0 && epochs <= 0)
    throw UsageError(detail::concatenate(section, ".epochs and ", section,
                                         ".steps are both 0 (nothing would be learned); set one"));
  if (batch % bn_group != 0)
    throw UsageError(detail::concatenate(section, ".batch is ", batch, ", which ", section,
                                         ".bn_group (", bn_group,
                                         ") does not divide; choose a multiple"));
}

int64_t SupervisedConfig::total_steps(int64_t images) const {
  if (steps > 0) return steps;
  return static_cast<int64_t>(
      std::ceil(epochs * static_cast<double>(images) / static_cast<double>(batch)));
}

bool SupervisedConfig::ends_epoch(int64_t step, int64_t images) const {
  return (step + 1) * batch / images > step * batch / images || step + 1 == total_steps(images);
}

Schedule SupervisedConfig::schedule_over(int64_t total_steps) const {
  return {schedule, learning_rate, warmup, total_steps};
}

std::unique_ptr<Optimizer> SupervisedConfig::make_optimizer(
    const FlatParameters& parameters) const {
  if (optimizer == "sgd") return std::make_unique<Sgd>(parameters, momentum, weight_decay);
  return std::make_unique<Adam>(parameters, 0.9, 0.999, 1e-8, weight_decay);
}

ResNet SupervisedConfig::make_network(int64_t input_channels, int64_t outputs,
                                      const RunContext& context) const {
  const auto half = checked_half_type("half_precision", half_precision, context);
  ResNet network(ResNetOptions{depth, stem, input_channels, outputs, width});
  // In the dtype first, so that float64 weights arrive in full.
  network->to(context.device, context.dtype);
  initialize(network, context.seed, /*zero_init_residual=*/true);
  if (!init.empty()) load_resnet_weights(network, init, /*head=*/false);
  if (half) network->train_in(*half);
  network->train();
  return network;
}

}  // namespace stylescope
