#pragma once

#include "io/base/fields.hpp"
#include "stages/networks/resnet.hpp"
#include "stages/training/augment.hpp"
#include "stages/training/optimizer.hpp"
#include "stages/training/schedule.hpp"
#include "stages/training/training_loop.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace stylescope {

// What the configurations of the stages that train a ResNet (classifier, encoder) have in common.
// Batch sizes are of all ranks together.
struct SupervisedConfig {
  int64_t depth = 50;
  std::string stem = "imagenet";
  int64_t width = 64;
  std::string init;  // a safetensors file with torchvision's names; its fc.* is not used
  double epochs = 30;
  int64_t steps = 0;  // > 0: instead of epochs
  int64_t batch = 64;
  int64_t bn_group = 16;
  std::string optimizer = "adamw";
  double learning_rate = 1e-3;
  double weight_decay = 1e-2;
  double momentum = 0.9;
  std::string schedule = "one_cycle";
  double warmup = 0;
  std::string half_precision = "off";  // or bfloat16: the training's convolutions
  AugmentConfig augment;
  int64_t log_every = 10;
  CheckpointConfig checkpoint;

  // The keys above, for describe() of the stage's own section.
  void describe_shared(Fields& f);
  // Throws UsageError for what no single key can say; `section` is the stage's name.
  void check_shared(const std::string& section) const;

  // Of training on `images` images.
  int64_t total_steps(int64_t images) const;
  // Does an epoch end with this step? The last step always ends one.
  bool ends_epoch(int64_t step, int64_t images) const;
  Schedule schedule_over(int64_t total_steps) const;
  std::unique_ptr<Optimizer> make_optimizer(const FlatParameters& parameters) const;
  // Keyed first weights, or those of `init`, on this device and in this dtype, in training mode.
  ResNet make_network(int64_t input_channels, int64_t outputs, const RunContext& context) const;
};

}  // namespace stylescope
