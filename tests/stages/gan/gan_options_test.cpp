// What the gan's section can ask for beyond the plain training: presets, first weights from files,
// frozen layers, another architecture.
#include "io/base/error.hpp"
#include "stages/gan/gan_config.hpp"
#include "stages/gan/gan_networks.hpp"
#include "stages/gan/gan_presets.hpp"
#include "stages/gan/gan_trainer.hpp"
#include "stages/networks/state.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TempDir;
using testing_support::world;

GanConfig tiny() {
  GanConfig config;
  config.batch = 8;
  config.z_dim = config.w_dim = 8;
  config.channel_base = 128;
  config.channel_max = 8;
  config.mbstd_group = 4;
  config.learning_rate = 0.01;
  return config;
}

Discriminator new_discriminator(const GanConfig& config, int64_t resolution = 16) {
  const auto g = generator_options(config, resolution, 1, 0);
  Discriminator discriminator(discriminator_options(config, g));
  initialize(discriminator, 3);
  discriminator->to(torch::kFloat64);
  return discriminator;
}

Generator new_generator(const GanConfig& config) {
  Generator generator(generator_options(config, 16, 1, 0));
  initialize(generator, 3);
  generator->to(torch::kFloat64);
  return generator;
}

void train(const GanConfig& config, Discriminator& discriminator, int64_t steps) {
  auto generator = new_generator(config), average = new_generator(config);
  KeyedGanDraws draws(1, generator->options(), config.style_mixing, true, torch::kFloat64);
  KeyedAugmentSource augmentation(1);
  GanTrainer trainer(config, generator, discriminator, average, world(), draws, augmentation);
  for (int64_t step = 0; step < steps; ++step) {
    RealBatch reals;
    const auto n = static_cast<int64_t>(trainer.local_samples().size());
    reals.images = torch::ones({n, 1, 16, 16}, torch::kFloat64).mul(0.1 * (step + 1.0));
    trainer.step(step, reals);
  }
}

TEST(GanPresets, AreThePublishedConfigurations) {
  GanConfig c;
  c.preset = "paper256";
  fill_from_preset(c);
  EXPECT_EQ(c.batch, 64);
  EXPECT_EQ(c.batch_per_rank, 8);
  EXPECT_EQ(c.mbstd_group, 8);
  EXPECT_EQ(c.channels(256), 16384);
  EXPECT_DOUBLE_EQ(c.rate(256), 0.0025);
  EXPECT_DOUBLE_EQ(c.gamma(256), 1);
  EXPECT_DOUBLE_EQ(c.ema_images(), 20000);
  EXPECT_DOUBLE_EQ(c.ramp(), 0);
  EXPECT_EQ(c.mapping_layers, 8);
  for (const char* name :
       {"auto", "stylegan2", "paper512", "paper1024", "cifar", "knees", "histology"}) {
    c.preset = name;
    fill_from_preset(c);
    EXPECT_EQ(c.preset, name);
    EXPECT_NO_THROW(c.check()) << name;
  }
}

// facts: "auto" worked out for one GPU.
TEST(GanPresets, AutoDependsOnTheResolution) {
  GanConfig c;
  EXPECT_NEAR(c.gamma(64), 0.0256, 1e-12);
  EXPECT_DOUBLE_EQ(c.ema_images(), 10000);
  EXPECT_EQ(c.channels(256), 16384);
  EXPECT_EQ(c.channels(512), 32768);
  EXPECT_DOUBLE_EQ(c.rate(512), 0.0025);
  EXPECT_DOUBLE_EQ(c.rate(1024), 0.002);
  EXPECT_DOUBLE_EQ(c.ramp(), 0.05);
  c.init_generator = "x";
  EXPECT_DOUBLE_EQ(c.ramp(), 0);
}

TEST(GanOptions, RefusesWhatDoesNotFit) {
  auto c = tiny();
  c.batch_per_rank = 6;
  EXPECT_THROW(c.check(), UsageError);
  c = tiny();
  c.freeze_d = 2;  // of random weights
  EXPECT_THROW(c.check(), UsageError);
  c = tiny();
  c.channel_base = 0;
  EXPECT_THROW(c.check(), UsageError);
}

// fromrgb, conv0, conv1, skip | conv0, conv1, skip; weights and biases, but skip has no bias.
TEST(FreezeD, CountsLayersFromTheImage) {
  const auto discriminator = new_discriminator(tiny());
  const std::vector<size_t> expected{0, 2, 4, 6, 7, 9, 11, 12};
  for (size_t layers = 0; layers < expected.size(); ++layers)
    EXPECT_EQ(parameters_of_layers(*discriminator, static_cast<int64_t>(layers)), expected[layers]);
  EXPECT_THROW(parameters_of_layers(*discriminator, 8), Error);
}

TEST(FreezeD, KeepsTheLayersToTheBitAndTrainsTheOthers) {
  auto config = tiny();
  config.freeze_d = 4;
  auto discriminator = new_discriminator(config);
  std::vector<std::pair<std::string, torch::Tensor>> before;
  for (const auto& p : discriminator->named_parameters())
    before.emplace_back(p.key(), p.value().detach().clone());
  train(config, discriminator, 3);
  size_t i = 0;
  for (const auto& p : discriminator->named_parameters()) {
    const bool same = torch::equal(p.value(), before[i].second);
    // Biases of the last block get no gradient from R1, but do from the loss.
    EXPECT_EQ(same, i < 7) << before[i].first;
    ++i;
  }
}

TEST(OrigArchitecture, HasNoSkipsAndComesBackFromItsFile) {
  auto config = tiny();
  config.d_architecture = "orig";
  auto discriminator = new_discriminator(config);
  for (const auto& p : discriminator->named_parameters())
    EXPECT_EQ(p.key().find("skip"), std::string::npos);
  const auto images = torch::linspace(-1, 1, 4 * 256, torch::kFloat64).reshape({4, 1, 16, 16});
  const auto logits = discriminator(images);
  EXPECT_GT((logits - new_discriminator(tiny())(images)).abs().max().item<double>(), 1e-3);
  const TempDir dir;
  const auto file = (dir.path() / "d.safetensors").string();
  save_discriminator(file, discriminator);
  auto loaded = load_discriminator(file, torch::kCPU, torch::kFloat64);
  EXPECT_FALSE(loaded->options().residual);
  EXPECT_TRUE(torch::equal(loaded(images), logits));
  train(config, discriminator, 2);
  EXPECT_FALSE(torch::equal(discriminator(images), logits));
}

// A network of 16 pixels starts from one of 32: what both have is taken, the rest stays.
TEST(Transfer, TakesWhatFitsAndNamesTheRest) {
  auto config = tiny();
  auto large = new_discriminator(config, 32);
  const TempDir dir;
  const auto file = (dir.path() / "d.safetensors").string();
  save_discriminator(file, large);
  auto small = new_discriminator(config);
  for (auto& p : small->parameters()) {
    const torch::NoGradGuard no_grad;
    p.fill_(7);
  }
  const auto left = load_fitting(*small, read_safetensors(file), file);
  EXPECT_EQ(left, (std::vector<std::string>{"b16.fromrgb.weight", "b16.fromrgb.bias"}));
  for (const auto& p : small->named_parameters()) {
    const bool kept = p.key().find("fromrgb") != std::string::npos;
    EXPECT_TRUE(torch::equal(
        p.value(), kept ? torch::full_like(p.value(), 7) : large->named_parameters()[p.key()]))
        << p.key();
  }
  auto generator = new_generator(config);
  EXPECT_THROW(load_fitting(*generator, read_safetensors(file), file), Error);
}

// Some of a mapping network's layers mean nothing without the others.
TEST(Transfer, WantsAsManyMappingLayers) {
  auto config = tiny();
  auto shallow = new_generator(config);
  config.mapping_layers = 4;
  auto deep = new_generator(config);
  const TempDir dir;
  const auto file = (dir.path() / "g.safetensors").string();
  save_generator(file, deep);
  try {
    load_fitting(*shallow, read_safetensors(file), file);
    FAIL() << "it took two layers of four";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("set gan.mapping_layers to 4"), std::string::npos);
  }
  EXPECT_TRUE(load_fitting(*deep, read_safetensors(file), file).empty());
}

}  // namespace
}  // namespace stylescope
