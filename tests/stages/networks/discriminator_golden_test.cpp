#include "stages/networks/mapping.hpp"
#include "stages/ops/minibatch_stddev.hpp"
#include "tests/stages/networks/golden_networks.hpp"

// The discriminator against the reference implementation: logits, features, losses, gradients.
namespace stylescope::testing_support {
namespace {

using DiscriminatorGolden = GoldenNetworks;
INSTANTIATE_GOLDEN_NETWORKS(DiscriminatorGolden);

TEST_P(DiscriminatorGolden, LogitsOfSeveralBatchSizes) {
  const torch::NoGradGuard no_grad;
  for (const auto dtype : {torch::kFloat64, torch::kFloat32}) {
    precision(dtype);
    auto d = discriminator();
    for (const int64_t n : {1, 2, 4, 8}) {
      const auto key = "out/logits_b" + std::to_string(n);
      const auto logits = d(real(n), real_c(n));
      dtype == torch::kFloat64 ? expect(key, logits) : expect_float32(key, logits);
    }
  }
}

TEST_P(DiscriminatorGolden, ClampedLogits) {
  const torch::NoGradGuard no_grad;
  auto d = discriminator(1.0);
  expect("out/clamp_logits_b4", d(real(4), real_c(4)));
}

TEST_P(DiscriminatorGolden, FeaturesStatisticAndLabel) {
  const torch::NoGradGuard no_grad;
  auto d = discriminator();
  auto x = real(4);
  for (const auto& child : d->named_children()) {
    if (auto* block = child.value()->as<DiscriminatorBlock>()) {
      x = block->forward(x);
      expect("out/feat_D_" + child.key(), x[0]);
    }
  }
  const auto with_statistic = minibatch_stddev(x, 4);
  expect("out/feat_D_mbstd", with_statistic.select(1, x.size(1)).select(1, 0).select(1, 0));
  if (!big())
    expect("out/D_cmap",
           d->named_children()["mapping"]->as<MappingNetwork>()->forward({}, real_c(4)));
}

TEST_P(DiscriminatorGolden, MainLossAndGradients) {
  auto g = generator();
  auto d = discriminator();
  const auto fake = d(g->synthesize(g->broadcast(g->map(z(4), c(4)))).detach(), c(4));
  const auto true_ones = d(real(4), real_c(4));
  expect("out/Dmain_fake_logits", fake);
  expect("out/Dmain_real_logits", true_ones);
  const auto loss = torch::softplus(fake).mean() + torch::softplus(-true_ones).mean();
  expect("out/Dmain_loss", loss);
  expect_gradients("gradD_main", *d, loss);
}

TEST_P(DiscriminatorGolden, R1AndItsGradients) {
  auto d = discriminator();
  const auto images = real(4).requires_grad_(true);
  const auto gradient =
      torch::autograd::grad({d(images, real_c(4)).sum()}, {images}, {}, true, true)[0];
  expect("out/r1_grads", gradient[0]);
  const auto penalty = gradient.square().sum({1, 2, 3});
  expect("out/r1_penalty", penalty);
  const auto loss = (5 * penalty).mean();
  expect("out/Dreg_loss", loss);
  expect_gradients("gradD_r1", *d, loss);
}

TEST_P(DiscriminatorGolden, StoredParametersFollowTheRule) {
  const torch::NoGradGuard no_grad;
  auto d = discriminator();
  for (const auto& [key, tensor] : state_of(*d))
    golden::expect_equal(set(), "param/D." + key, tensor, 1e-12);
}

}  // namespace
}  // namespace stylescope::testing_support
