#pragma once

#include "io/base/fields.hpp"
#include "stages/augment/operations.hpp"
#include "stages/gan/divergence.hpp"
#include "stages/gan/gan_metrics_config.hpp"
#include "stages/training/training_loop.hpp"

#include <cstdint>
#include <string>

namespace stylescope {

// The gan stage's section. Defaults are StyleGAN2-ADA's "auto" configuration for one GPU; a preset
// gives others, and keys beside it are its exceptions. Batch sizes are of all ranks together. What
// a negative value leaves open depends on the resolution: the functions below.
struct GanConfig {
  std::string preset = "auto";
  double kimg = 25000;
  int64_t batch = 32;
  int64_t batch_per_rank = 0;
  int64_t z_dim = 512;
  int64_t w_dim = 512;
  int64_t mapping_layers = 2;
  int64_t channel_base = -1;
  int64_t channel_max = 512;
  bool conditional = false;
  double clamp = 0;
  std::string half_precision = "off";
  std::string d_architecture = "resnet";
  int64_t mbstd_group = 4;
  int64_t freeze_d = 0;
  std::string init_generator;
  std::string init_discriminator;
  double learning_rate = -1;
  double r1_gamma = -1;
  int64_t r1_interval = 16;
  double path_length_weight = 2;
  double path_length_decay = 0.01;
  int64_t path_length_shrink = 2;
  int64_t path_length_interval = 4;
  double style_mixing = 0.9;
  std::string noise = "random";
  double w_avg_beta = 0.995;
  double ema_kimg = -1;
  double ema_ramp = -1;
  bool mirror = false;
  AdaConfig augment;
  double snapshot_kimg = 0;
  int64_t snapshots_keep = 5;
  int64_t log_every = 10;
  SentinelConfig sentinel;
  GanMetricsConfig metrics;
  CheckpointConfig checkpoint;

  // Of which preset these are the values; describe() fills them in when it reads another name.
  std::string filled_from = "auto";

  void describe(Fields& f);
  // What ranges alone cannot say. Throws UsageError naming the key.
  void check() const;

  bool transfers() const { return !init_generator.empty() || !init_discriminator.empty(); }

  // The value of the key, or where it is negative what "auto" makes of the resolution.
  int64_t channels(int64_t resolution) const;
  double rate(int64_t resolution) const;
  double gamma(int64_t resolution) const;
  double ema_images() const;
  AdaConfig augment_in_force() const;
  // 0: no ramp. Weights that were trained before start with a whole average.
  double ramp() const;
};

}  // namespace stylescope
