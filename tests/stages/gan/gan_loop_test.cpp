// The whole training loop against golden "loop", its runs A (no augmentation), B and C (adaptive
// augmentation): 20 iterations in float64 with every random draw given. Runs on 1, 2 and 4 ranks:
// with 4, two ranks are dealt no minibatch-stddev group and take part with zeros.
#include "stages/gan/gan_trainer.hpp"
#include "stages/networks/state.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/golden_augment.hpp"
#include "tests/support/golden_weights.hpp"
#include "tests/support/world.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

constexpr int64_t kSeed = 21;
constexpr int64_t kBatch = 8;
// Golden's own limits (README, "Tolerances"); over several ranks sums are added in another order.
constexpr double kWeights = 1e-11;

std::string name_of(Phase phase) {
  switch (phase) {
    case Phase::g_main:
      return "Gmain";
    case Phase::g_path:
      return "Greg";
    case Phase::d_main:
      return "Dmain";
    default:
      return "Dreg";
  }
}

class GoldenDraws final : public GanDraws {
 public:
  torch::Tensor latents(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) override {
    return z(step, phase, "gen", kBatch, samples);
  }
  torch::Tensor mixing_latents(int64_t step, Phase phase, at::ArrayRef<int64_t> samples) override {
    return z(step, phase, "mix", phase == Phase::g_path ? kBatch / 2 : kBatch, samples);
  }
  int64_t mixing_cutoff(int64_t step, Phase phase) override {
    const std::string stem = "loop.mix." + std::to_string(step) + "." + name_of(phase);
    const double cutoff = golden::uniform(stem + ".cutoff", kSeed, {1}).item<double>();
    const double decide = golden::uniform(stem + ".decide", kSeed, {1}).item<double>();
    return decide < 0.9 ? 1 + static_cast<int64_t>(std::floor(cutoff * 5)) : 6;
  }
  torch::Tensor path_noise(int64_t step, at::ArrayRef<int64_t> samples) override {
    return rows(golden::values("loop.pl_noise." + std::to_string(step), kSeed, {4, 1, 16, 16}),
                samples);
  }
  Noise layer_noise(int64_t, Phase, at::ArrayRef<int64_t>) override { return {}; }
  torch::Tensor label_rows(int64_t, Phase, at::ArrayRef<int64_t>, int64_t) override { return {}; }

 private:
  static torch::Tensor rows(const torch::Tensor& all, at::ArrayRef<int64_t> samples) {
    return all.index_select(0, torch::tensor(samples, torch::kInt64));
  }
  static torch::Tensor z(int64_t step, Phase phase, const std::string& which, int64_t count,
                         at::ArrayRef<int64_t> samples) {
    return rows(
        golden::values("loop.z." + std::to_string(step) + "." + name_of(phase) + "." + which, kSeed,
                       {count, 64}),
        samples);
  }
};

GeneratorOptions generator_options() {
  GeneratorOptions options;
  options.z_dim = options.w_dim = 64;
  options.resolution = 16;
  options.image_channels = 1;
  options.channel_base = 256;
  options.channel_max = 32;
  options.mapping_layers = 4;
  return options;
}

DiscriminatorOptions discriminator_options() {
  DiscriminatorOptions options;
  options.resolution = 16;
  options.image_channels = 1;
  options.channel_base = 256;
  options.channel_max = 32;
  options.mbstd_group = 4;
  return options;
}

// `run`: A, B or C.
GanConfig config(const std::string& run) {
  GanConfig c;
  c.augment.mode = run == "A" ? "off" : "ada";
  c.augment.kimg = 0.2;
  c.augment.p = run == "C" ? 0.8 : 0;
  c.batch = kBatch;
  c.z_dim = c.w_dim = 64;
  c.mbstd_group = 4;
  c.learning_rate = 0.0025;
  c.r1_gamma = 1;
  c.ema_kimg = 0.5;
  c.ema_ramp = 0.05;
  return c;
}

void expect_near(const std::string& key, int64_t step, double actual, double tolerance) {
  const double expected = golden::load("loop").at(key)[step].item<double>();
  EXPECT_LE(std::abs(actual - expected), tolerance * std::max(std::abs(expected), 1e-3))
      << key << " at " << step;
}

// Rows of [sum, L2 norm, dot(probe), max|.|], compared against the tensor's norm.
void expect_checksums(const std::string& key, const std::string& prefix,
                      const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                      double tolerance) {
  const auto rows = golden::load("loop").at(key);
  ASSERT_EQ(rows.size(0), static_cast<int64_t>(tensors.size())) << key;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    const auto flat = tensor.detach().contiguous().view(-1);
    const auto row = rows[static_cast<int64_t>(i)];
    const double norm = row[1].item<double>();
    const double bound =
        tolerance * std::max(norm, 1e-12) * std::sqrt(static_cast<double>(flat.numel()));
    EXPECT_NEAR(flat.sum().item<double>(), row[0].item<double>(), bound)
        << key << " " << name << " sum";
    EXPECT_NEAR(flat.norm().item<double>(), norm, bound) << key << " " << name << " norm";
    EXPECT_NEAR(flat.dot(golden::probe(prefix + name, {flat.numel()})).item<double>(),
                row[2].item<double>(), bound)
        << key << " " << name << " probe";
    EXPECT_NEAR(flat.abs().max().item<double>(), row[3].item<double>(), bound)
        << key << " " << name << " max";
  }
}

std::vector<std::pair<std::string, torch::Tensor>> split_like(torch::nn::Module& module,
                                                              const torch::Tensor& flat) {
  std::vector<std::pair<std::string, torch::Tensor>> parts;
  int64_t offset = 0;
  for (const auto& p : module.named_parameters()) {
    parts.emplace_back(p.key(), flat.narrow(0, offset, p.value().numel()));
    offset += p.value().numel();
  }
  return parts;
}

torch::Tensor adam_square(GanTrainer& trainer, const std::string& network) {
  for (const auto& [name, tensor] : trainer.tensors())
    if (name == network + ".adam.square") return tensor;
  return {};
}

struct LoopCase {
  std::string run;
  int64_t batch_per_rank;  // 0: all at once; 4: one minibatch-stddev group at a time
};

class GanLoop : public testing::TestWithParam<LoopCase> {};
INSTANTIATE_TEST_SUITE_P(Golden, GanLoop,
                         testing::Values(LoopCase{"A", 0}, LoopCase{"A", 4}, LoopCase{"B", 0},
                                         LoopCase{"C", 0}, LoopCase{"C", 4}),
                         [](const auto& info) {
                           return info.param.run + std::to_string(info.param.batch_per_rank);
                         });

TEST_P(GanLoop, TwentyIterations) {
  const std::string run = GetParam().run + "/";
  auto& world = testing_support::world();
  torch::manual_seed(1);
  Generator generator(generator_options()), average(generator_options());
  Discriminator discriminator(discriminator_options());
  generator->to(torch::kFloat64);
  average->to(torch::kFloat64);
  discriminator->to(torch::kFloat64);
  golden::fill_weights(state_of(*generator), "G.", kSeed);
  golden::fill_weights(state_of(*average), "G.", kSeed);
  golden::fill_weights(state_of(*discriminator), "D.", kSeed);
  const auto reals = golden::values("loop.real", kSeed, {64, 1, 16, 16}, 0, 0.5).clamp(-1, 1);

  GoldenDraws draws;
  ReducerOptions several;  // buckets
  several.bucket_mb = 0.05;
  golden::LoopAugmentSource augmentation;
  auto c = config(GetParam().run);
  c.batch_per_rank = GetParam().batch_per_rank;
  GanTrainer trainer(c, generator, discriminator, average, world, draws, augmentation, several);
  EXPECT_GT(trainer.generator_reducer().borders().size(), 3U);
  EXPECT_GT(trainer.discriminator_reducer().borders().size(), 3U);
  const bool one_sum = world.size() == 1 && c.batch_per_rank == 0;
  const double tolerance = one_sum ? 1e-11 : 1e-8;
  for (int64_t step = 0; step < 20; ++step) {
    RealBatch batch;
    std::vector<int64_t> rows;
    for (const auto sample : trainer.local_samples()) rows.push_back((kBatch * step + sample) % 64);
    batch.images = reals.index_select(0, torch::tensor(rows, torch::kInt64));
    const auto figures = trainer.step(step, batch);

    expect_near(run + "loss/Gmain", step, figures.loss_g, tolerance);
    expect_near(run + "loss/Dmain", step, figures.loss_d, tolerance);
    expect_near(run + "sign/Dmain_real", step, figures.sign_real, tolerance);
    EXPECT_EQ(figures.ran_path, step % 4 == 0);
    EXPECT_EQ(figures.ran_r1, step % 16 == 0);
    if (figures.ran_path) expect_near(run + "loss/Greg", step, figures.path_loss, tolerance);
    if (figures.ran_r1) expect_near(run + "loss/Dreg", step, figures.r1_loss, tolerance);
    expect_near(run + "pl/mean", step, trainer.path_length_mean(), tolerance);
    EXPECT_EQ(figures.non_finite, 0);
    if (c.augment.mode == "ada") {
      expect_near(run + "ada/p_used", step, figures.augment_p, 1e-12);
      expect_near(run + "ada/p_after", step, trainer.ada().p(), 1e-12);
      if ((step + 1) % 4 == 0) expect_near(run + "ada/rt", step, trainer.ada().rt(), 1e-12);
    }

    const auto w_avg = generator->w_avg();
    const auto w_row = golden::load("loop").at(run + "w_avg")[step];
    EXPECT_NEAR(w_avg.norm().item<double>(), w_row[1].item<double>(),
                tolerance * w_row[1].item<double>());
    EXPECT_NEAR(w_avg.dot(golden::probe("G.mapping.w_avg", {64})).item<double>(),
                w_row[2].item<double>(), tolerance * w_row[1].item<double>() * 8);

    const int64_t done = step + 1;
    if (done == 1 || done == 4 || done == 17 || done == 20) {
      char after[32];
      std::snprintf(after, sizeof after, "chk/after%02ld/", static_cast<long>(done));
      const std::string chk = run + after;
      const double bound = one_sum ? kWeights : 1e-8;
      expect_checksums(chk + "G", "G.", state_of(*generator), bound);
      expect_checksums(chk + "D", "D.", state_of(*discriminator), bound);
      expect_checksums(chk + "G_ema", "G.", state_of(*average), bound);
      expect_checksums(chk + "adam_v_G", "G.", split_like(*generator, adam_square(trainer, "g")),
                       bound * 10);
      expect_checksums(chk + "adam_v_D", "D.",
                       split_like(*discriminator, adam_square(trainer, "d")), bound * 10);
    }
  }
}

}  // namespace
}  // namespace stylescope
