#include "stages/gan/gan_presets.hpp"

#include "io/base/error.hpp"

namespace stylescope {
namespace {

// What differs between the published configurations; their ranks are the GPUs that they were made
// for.
struct Published {
  const char* name;
  double kimg;
  int64_t batch, ranks, mbstd_group, channel_base;
  double learning_rate, r1_gamma, ema_kimg, ema_ramp;
  int64_t mapping_layers;
};

constexpr Published kPublished[] = {
    {"stylegan2", 25000, 32, 8, 4, 32768, 0.002, 10, 10, 0, 8},
    {"paper256", 25000, 64, 8, 8, 16384, 0.0025, 1, 20, 0, 8},
    {"paper512", 25000, 64, 8, 8, 32768, 0.0025, 0.5, 20, 0, 8},
    {"paper1024", 25000, 32, 8, 4, 32768, 0.002, 2, 10, 0, 8},
    {"cifar", 100000, 64, 2, 32, 32768, 0.0025, 0.01, 500, 0.05, 2},
};

void fill_published(const Published& p, GanConfig& c) {
  c.kimg = p.kimg;
  c.batch = p.batch;
  c.batch_per_rank = p.batch / p.ranks;
  c.mbstd_group = p.mbstd_group;
  c.channel_base = p.channel_base;
  c.learning_rate = p.learning_rate;
  c.r1_gamma = p.r1_gamma;
  c.ema_kimg = p.ema_kimg;
  c.ema_ramp = p.ema_ramp;
  c.mapping_layers = p.mapping_layers;
}

}  // namespace

void fill_from_preset(GanConfig& config) {
  GanConfig filled;
  filled.preset = filled.filled_from = config.preset;
  const std::string& name = filled.preset;
  for (const auto& published : kPublished)
    if (name == published.name) fill_published(published, filled);
  if (name == "cifar") {
    filled.path_length_weight = 0;
    filled.style_mixing = 0;
    filled.d_architecture = "orig";
  } else if (name == "knees") {
    // A left knee mirrored is a right knee; up is up, bone is bright, and there is no colour.
    filled.mirror = true;
    auto& o = filled.augment.operations;
    o.rotate90 = o.rotate = o.lumaflip = o.hue = o.saturation = 0;
  } else if (name == "histology") {
    // Tissue has no up; but its colours are the stain's, and nuclei are dark.
    filled.mirror = true;
    auto& o = filled.augment.operations;
    o.lumaflip = o.hue = 0;
  }
  config = filled;
}

}  // namespace stylescope
