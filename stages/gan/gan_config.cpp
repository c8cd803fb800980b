#include "stages/gan/gan_config.hpp"

#include "io/base/error.hpp"
#include "stages/gan/gan_presets.hpp"

namespace stylescope {

void GanConfig::describe(Fields& f) {
  f.choice(
      "preset", preset,
      {"auto", "stylegan2", "paper256", "paper512", "paper1024", "cifar", "knees", "histology"},
      "where the other keys' defaults come from: StyleGAN2-ADA's configurations, or ours");
  if (preset != filled_from) fill_from_preset(*this);
  f.field("kimg", kimg, {0, 1e9},
          "training length: thousands of real images shown to the discriminator");
  f.field("batch", batch, {1, 65536},
          "images a step, all ranks together; a multiple of mbstd_group");
  f.field("batch_per_rank", batch_per_rank, {0, 65536},
          "at most so many images at a time on a rank, gradients added up; a multiple of "
          "mbstd_group (0: a rank's whole share at once)");
  f.field("z_dim", z_dim, {1, 4096}, "size of the input latent z");
  f.field("w_dim", w_dim, {1, 4096}, "size of the intermediate latent w, in which alpha lives");
  f.field("mapping_layers", mapping_layers, {1, 32},
          "fully connected layers of the mapping network (2: auto, 8: paper)");
  f.field("channel_base", channel_base, {-1, 1 << 24},
          "channels at resolution r: min(channel_base / r, channel_max) (-1: 16384, from 512 "
          "pixels on 32768)");
  f.field("channel_max", channel_max, {1, 4096}, "most channels of a layer");
  f.field("conditional", conditional, "condition G and D on the class");
  f.field("clamp", clamp, {0, 1e6}, "clamp activations to +-this (0: off, in half precision 256)");
  f.choice("half_precision", half_precision, {"off", "bfloat16", "float16"},
           "type of the features at the four highest resolutions; float16: on GPUs");
  f.choice("d_architecture", d_architecture, {"resnet", "orig"},
           "D's blocks: with a skip, or plain (cifar)");
  f.field("mbstd_group", mbstd_group, {1, 4096},
          "images a group of the minibatch standard deviation; dealt whole to ranks");
  f.field("init_generator", init_generator,
          "weights to start G from (safetensors with StyleGAN2-ADA's names; '': at random)");
  f.field("init_discriminator", init_discriminator, "the same of D");
  f.field("freeze_d", freeze_d, {0, 64},
          "so many layers of D, counted from the image, keep their first weights (freeze-D)");
  f.field("learning_rate", learning_rate, {-1, 1},
          "Adam, G and D (-1: 0.0025, at 1024 pixels 0.002)");
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
  f.field("ema_ramp", ema_ramp, {-1, 1e6},
          "half-life at most this share of the images seen (0: no ramp; -1: 0.05, with first "
          "weights given 0)");
  f.field("mirror", mirror,
          "also train on left-right mirrored images (only where the anatomy allows it)");
  f.section("augment", augment, "what D sees of its images (StyleGAN2-ADA)");
  f.field("snapshot_kimg", snapshot_kimg, {0, 1e9},
          "a sample grid and a generator this often (0: 20 of them in all)");
  f.field("snapshots_keep", snapshots_keep, {1, 100000}, "how many generator snapshots are kept");
  f.field("log_every", log_every, {1, 1000000}, "steps between lines of metrics.jsonl");
  f.section("sentinel", sentinel, "what is done when the training diverges");
  f.section("metrics", metrics, "figures of the generator while it is trained");
  f.section("checkpoint", checkpoint, "when training state is written");
}

void GanConfig::check() const {
  const auto divided = [&](const char* key, int64_t value) {
    if (value % mbstd_group != 0)
      throw UsageError(detail::concatenate("key 'gan.", key, "' is ", value,
                                           ", which gan.mbstd_group (", mbstd_group,
                                           ") does not divide; choose a multiple"));
  };
  metrics.check();
  // What does not depend on the images is told before any work: these would do for everything.
  augment.check(3, 1024, 1024);
  divided("batch", batch);
  divided("batch_per_rank", batch_per_rank);
  if (channel_base == 0)
    throw UsageError("key 'gan.channel_base' is 0; give a positive number, or -1 for the default");
  if (freeze_d > 0 && init_discriminator.empty())
    throw UsageError(
        "key 'gan.freeze_d' keeps first layers of D as they are, and they are random; give "
        "gan.init_discriminator, or set it to 0");
}

int64_t GanConfig::channels(int64_t resolution) const {
  if (channel_base > 0) return channel_base;
  return resolution >= 512 ? 32768 : 16384;
}

double GanConfig::rate(int64_t resolution) const {
  if (learning_rate >= 0) return learning_rate;
  return resolution >= 1024 ? 0.002 : 0.0025;
}

double GanConfig::gamma(int64_t resolution) const {
  if (r1_gamma >= 0) return r1_gamma;
  return 0.0002 * static_cast<double>(resolution * resolution) / static_cast<double>(batch);
}

double GanConfig::ema_images() const {
  return (ema_kimg >= 0 ? ema_kimg : static_cast<double>(batch) * 10 / 32) * 1000;
}

// Trained before, D overfits sooner.
AdaConfig GanConfig::augment_in_force() const {
  auto config = augment;
  if (config.kimg <= 0) config.kimg = transfers() ? 100 : 500;
  return config;
}

double GanConfig::ramp() const { return ema_ramp >= 0 ? ema_ramp : transfers() ? 0 : 0.05; }

}  // namespace stylescope
