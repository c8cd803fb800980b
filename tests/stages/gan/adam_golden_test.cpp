// Two optimizer steps and one step of the moving average on golden networks (sets g64 and g32c):
// main gradient, then the regulariser's times its interval, through our losses, flat buffers and
// Adam.
#include "stages/gan/gan_losses.hpp"
#include "stages/networks/discriminator.hpp"
#include "stages/networks/generator.hpp"
#include "stages/networks/state.hpp"
#include "stages/training/flat_parameters.hpp"
#include "stages/training/optimizer.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/golden_weights.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

constexpr double kTolerance = 1e-9;

struct Set {
  std::string name;
  int64_t seed, z_dim, w_dim, c_dim, resolution, channels, base, max;
  double path_length_mean;
};

class AdamGolden : public testing::TestWithParam<Set> {
 protected:
  void SetUp() override {
    const auto& s = GetParam();
    GeneratorOptions g{s.z_dim, s.c_dim, s.w_dim, s.resolution, s.channels, s.base, s.max, 8, 0};
    DiscriminatorOptions d{s.c_dim, s.resolution, s.channels, s.base, s.max, 8, 4, 0};
    generator_ = Generator(g);
    discriminator_ = Discriminator(d);
    generator_->to(torch::kFloat64);
    discriminator_->to(torch::kFloat64);
    golden::fill_weights(state_of(*generator_), "G.", s.seed);
    golden::fill_weights(state_of(*discriminator_), "D.", s.seed);
    z_ = input("in/z").narrow(0, 0, 4);
    real_ = golden::values("in.real", s.seed, {8, s.channels, s.resolution, s.resolution}, 0, 0.5)
                .clamp(-1, 1)
                .narrow(0, 0, 4);
    if (s.c_dim > 0) {
      c_ = input("in/c").narrow(0, 0, 4);
      real_c_ = input("in/real_c").narrow(0, 0, 4);
    }
  }

  torch::Tensor input(const std::string& key) const {
    return golden::load(GetParam().name).at(key).to(torch::kFloat64);
  }

  torch::Tensor fake(int64_t count, torch::Tensor* ws_out = nullptr) {
    const auto c = c_.defined() ? c_.narrow(0, 0, count) : c_;
    const auto ws = generator_->broadcast(generator_->map(z_.narrow(0, 0, count), c));
    if (ws_out) *ws_out = ws;
    return generator_->synthesize(ws);
  }

  void expect_parameters(const std::string& prefix, torch::nn::Module& module) {
    // Golden keeps some of the parameters after a step, not all.
    const auto& stored = golden::load(GetParam().name);
    int64_t compared = 0;
    for (const auto& p : module.named_parameters()) {
      const std::string key = prefix + p.key();
      if (!stored.count(key) && !stored.count(key + ".chk")) continue;
      golden::expect_equal(GetParam().name, key, p.value(), kTolerance, stem(prefix) + p.key());
      ++compared;
    }
    EXPECT_GT(compared, 3) << prefix;
  }
  // The probe's name: the key after its first '/'.
  static std::string stem(const std::string& prefix) { return prefix.substr(prefix.find('/') + 1); }

  Generator generator_{nullptr};
  Discriminator discriminator_{nullptr};
  torch::Tensor z_, real_, c_, real_c_;
};

TEST_P(AdamGolden, GeneratorStepsAndMovingAverage) {
  const auto& s = GetParam();
  FlatParameters parameters(*generator_);
  const auto initial = parameters.values().clone();
  const double r = 4.0 / 5.0;
  Adam adam(parameters, 0, std::pow(0.99, r), 1e-8);

  generator_loss(discriminator_(fake(4), c_)).mean().backward();
  adam.step(parameters, 0.0025 * r);
  expect_parameters("adamG/step1.", *generator_);

  // Golden's second gradient is of the first weights.
  const auto after_first = parameters.values().clone();
  parameters.values().copy_(initial);
  parameters.zero_gradients();
  torch::Tensor ws;
  const auto images = fake(2, &ws);
  const auto noise =
      golden::values("in.pl_noise", s.seed, {2, s.channels, s.resolution, s.resolution});
  const auto lengths = path_lengths(images, ws, noise);
  const double mean = lengths.mean().item<double>();
  const auto penalty =
      path_penalty(lengths, mean, 2, updated_path_mean(s.path_length_mean, mean, 0.01), 0.01);
  (lengths * penalty.weights * 2.0).sum().backward();
  parameters.gradients().mul_(4);
  parameters.values().copy_(after_first);
  adam.step(parameters, 0.0025 * r);
  expect_parameters("adamG/step2.", *generator_);

  const auto average = initial.lerp(parameters.values(), 1 - std::pow(0.5, 4.0 / 10000));
  parameters.values().copy_(average);
  expect_parameters("emaG/", *generator_);
}

TEST_P(AdamGolden, DiscriminatorSteps) {
  FlatParameters parameters(*discriminator_);
  const auto initial = parameters.values().clone();
  const double r = 16.0 / 17.0;
  Adam adam(parameters, 0, std::pow(0.99, r), 1e-8);

  discriminator_loss_fake(discriminator_(fake(4).detach(), c_)).mean().backward();
  discriminator_loss_real(discriminator_(real_, real_c_)).mean().backward();
  adam.step(parameters, 0.0025 * r);
  expect_parameters("adamD/step1.", *discriminator_);

  const auto after_first = parameters.values().clone();
  parameters.values().copy_(initial);
  parameters.zero_gradients();
  const auto images = real_.clone().requires_grad_(true);
  (r1_penalty(discriminator_(images, real_c_), images).mean() * 5).backward();
  parameters.gradients().mul_(16);
  parameters.values().copy_(after_first);
  adam.step(parameters, 0.0025 * r);
  expect_parameters("adamD/step2.", *discriminator_);
}

INSTANTIATE_TEST_SUITE_P(Golden, AdamGolden,
                         testing::Values(Set{"g64", 1, 512, 512, 0, 64, 3, 2048, 64, 0.3},
                                         Set{"g32c", 2, 64, 96, 3, 32, 1, 1024, 32, 0.1}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace stylescope
