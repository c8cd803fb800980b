#include "stages/gan/gan_config.hpp"

#include "io/base/error.hpp"

namespace stylescope {

void GanConfig::describe(Fields& f) {
  f.field("kimg", kimg, {0, 1e9},
          "training length: thousands of real images shown to the discriminator");
  f.field("batch", batch, {1, 65536},
          "images a step, all ranks together; a multiple of mbstd_group");
  f.field("z_dim", z_dim, {1, 4096}, "size of the input latent z");
  f.field("w_dim", w_dim, {1, 4096}, "size of the intermediate latent w, in which alpha lives");
  f.field("mapping_layers", mapping_layers, {1, 32},
          "fully connected layers of the mapping network (2: auto, 8: paper)");
  f.field("channel_base", channel_base, {1, 1 << 24},
          "channels at resolution r: min(channel_base / r, channel_max)");
  f.field("channel_max", channel_max, {1, 4096}, "most channels of a layer");
  f.field("conditional", conditional, "condition G and D on the class");
  f.field("clamp", clamp, {0, 1e6}, "clamp activations to +-this (0: off)");
  f.field("mbstd_group", mbstd_group, {1, 4096},
          "images a group of the minibatch standard deviation; dealt whole to ranks");
  f.field("learning_rate", learning_rate, {0, 1}, "Adam, G and D");
  f.field("r1_gamma", r1_gamma, {-1, 1e6},
          "R1 weight gamma (-1: 0.0002 * resolution^2 / batch; 0: off)");
  f.field("r1_interval", r1_interval, {1, 1000000}, "R1 every so many steps");
  f.field("path_length_weight", path_length_weight, {0, 1e6},
          "path length regularisation (0: off)");
  f.field("path_length_decay", path_length_decay, {0, 1}, "of the running mean of path lengths");
  f.field("path_length_shrink", path_length_shrink, {1, 1024},
          "path length uses batch / this images");
  f.field("path_length_interval", path_length_interval, {1, 1000000},
          "path length every so many steps");
  f.field("style_mixing", style_mixing, {0, 1},
          "probability of mixing the styles of two latents in a step");
  f.choice("noise", noise, {"random", "constant"}, "per-pixel noise in training");
  f.field("w_avg_beta", w_avg_beta, {0, 1}, "decay of the moving average of w");
  f.field("ema_kimg", ema_kimg, {-1, 1e6},
          "half-life of the moving average of G's weights (-1: batch * 10 / 32)");
  f.field("ema_ramp", ema_ramp, {0, 1e6},
          "half-life at most this share of the images seen (0: no ramp)");
  f.field("mirror", mirror,
          "also train on left-right mirrored images (only where the anatomy allows it)");
  f.field("snapshot_kimg", snapshot_kimg, {0, 1e9},
          "a sample grid and a generator this often (0: 20 of them in all)");
  f.field("snapshots_keep", snapshots_keep, {1, 100000}, "how many generator snapshots are kept");
  f.field("log_every", log_every, {1, 1000000}, "steps between lines of metrics.jsonl");
  f.section("checkpoint", checkpoint, "when training state is written");
}

void GanConfig::check() const {
  if (batch % mbstd_group != 0)
    throw UsageError(detail::concatenate("key 'gan.batch' is ", batch, ", which gan.mbstd_group (",
                                         mbstd_group, ") does not divide; choose a multiple"));
}

double GanConfig::gamma(int64_t resolution) const {
  if (r1_gamma >= 0) return r1_gamma;
  return 0.0002 * static_cast<double>(resolution * resolution) / static_cast<double>(batch);
}

double GanConfig::ema_images() const {
  return (ema_kimg >= 0 ? ema_kimg : static_cast<double>(batch) * 10 / 32) * 1000;
}

}  // namespace stylescope
