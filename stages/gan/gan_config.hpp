#pragma once

#include "io/base/fields.hpp"
#include "stages/training/training_loop.hpp"

#include <cstdint>
#include <string>

namespace stylescope {

// The gan stage's section. Defaults are StyleGAN2-ADA's "auto" configuration; batch sizes are of
// all ranks together.
struct GanConfig {
  double kimg = 25000;
  int64_t batch = 32;
  int64_t z_dim = 512;
  int64_t w_dim = 512;
  int64_t mapping_layers = 2;
  int64_t channel_base = 16384;
  int64_t channel_max = 512;
  bool conditional = false;
  double clamp = 0;
  int64_t mbstd_group = 4;
  double learning_rate = 0.0025;
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
  double ema_ramp = 0.05;
  bool mirror = false;
  double snapshot_kimg = 0;
  int64_t snapshots_keep = 5;
  int64_t log_every = 10;
  CheckpointConfig checkpoint;

  void describe(Fields& f);
  // What ranges alone cannot say. Throws UsageError naming the key.
  void check() const;

  // r1_gamma and ema_kimg, with the heuristics of "auto" where they are negative.
  double gamma(int64_t resolution) const;
  double ema_images() const;
};

}  // namespace stylescope
