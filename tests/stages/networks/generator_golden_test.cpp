#include "stages/networks/mapping.hpp"
#include "stages/networks/synthesis.hpp"
#include "tests/stages/networks/golden_networks.hpp"

// The generator against the reference implementation: values, features, losses, gradients.
namespace stylescope::testing_support {
namespace {

using GeneratorGolden = GoldenNetworks;
INSTANTIATE_GOLDEN_NETWORKS(GeneratorGolden);

const Noise kNone{Noise::Mode::none, {}};

TEST_P(GeneratorGolden, LatentsTruncationAndCutoff) {
  const torch::NoGradGuard no_grad;
  auto g = generator();
  const auto w = g->map(z(), c());
  expect("out/ws", w);
  expect("out/ws_psi0.7", g->truncate(g->broadcast(w), 0.7).select(1, 0));
  expect("out/ws_psi0.5_cut4", g->truncate(g->broadcast(w.narrow(0, 0, 2)), 0.5, 4));
}

TEST_P(GeneratorGolden, Images) {
  const torch::NoGradGuard no_grad;
  for (const auto dtype : {torch::kFloat64, torch::kFloat32}) {
    precision(dtype);
    const auto check = [&](const std::string& key, const torch::Tensor& image) {
      dtype == torch::kFloat64 ? expect(key, image) : expect_float32(key, image);
    };
    auto g = generator();
    const auto ws = g->broadcast(g->map(z(), c()));
    check("out/img_const", g->synthesize(ws.narrow(0, 0, 2)));
    check("out/img_none", g->synthesize(ws.narrow(0, 0, 2), kNone));
    check("out/img_psi0.7_const", g->synthesize(g->truncate(ws.narrow(0, 2, 1), 0.7)));
    // Both latents carry the label of the first sample.
    auto mixed = ws.narrow(0, 0, 1).clone();
    const auto second = g->map(z().narrow(0, 7, 1), c(1));
    mixed.narrow(1, 5, mixed.size(1) - 5).copy_(second.unsqueeze(1));
    check("out/img_mix5_none", g->synthesize(mixed, kNone));
    check("out/img_wsgiven_const", g->synthesize(input("ws_in")));
  }
}

TEST_P(GeneratorGolden, ClampedImage) {
  const torch::NoGradGuard no_grad;
  auto g = generator(1.0);
  expect("out/clamp_img_const", g->synthesize(g->broadcast(g->map(z(1), c(1)))));
}

TEST_P(GeneratorGolden, FeaturesOfEveryBlock) {
  const torch::NoGradGuard no_grad;
  auto g = generator();
  const auto ws = g->broadcast(g->map(z(1), c(1))).unbind(1);
  const Noise constant;
  NoiseFeed feed(constant);
  torch::Tensor x, image;
  for (const auto& child : g->named_children()["synthesis"]->named_children()) {
    child.value()->as<SynthesisBlock>()->forward(x, image, ws, feed);
    expect("out/feat_G_" + child.key(), x);
  }
}

TEST_P(GeneratorGolden, MainLossAndGradients) {
  auto g = generator();
  auto d = discriminator();
  const auto w = g->map(z(4), c(4));
  const auto images = g->synthesize(g->broadcast(w));
  expect("out/img_const_train", images.narrow(0, 0, 1));
  const auto logits = d(images, c(4));
  expect("out/Gmain_logits", logits);
  const auto loss = torch::softplus(-logits).mean();
  expect("out/Gmain_loss", loss);
  expect("out/w_avg_after_Gmain", w.detach().mean(0).lerp(g->w_avg(), 0.995));
  expect_gradients("gradG_main", *g, loss);
}

TEST_P(GeneratorGolden, PathLengthAndItsGradients) {
  auto g = generator();
  const auto ws = g->broadcast(g->map(z(2), c(2)));
  const auto noise = pl_noise() / static_cast<double>(resolution());
  const auto gradient =
      torch::autograd::grad({(g->synthesize(ws) * noise).sum()}, {ws}, {}, true, true)[0];
  expect("out/pl_grads", gradient[0]);
  const auto lengths = gradient.square().sum(2).mean(1).sqrt();
  expect("out/pl_lengths", lengths);
  const auto mean = torch::full_like(lengths[0], pl_mean()).lerp(lengths.mean(), 0.01);
  expect("out/pl_mean_new", mean);
  const auto penalty = (lengths - mean).square();
  expect("out/pl_penalty", penalty);
  const auto loss = (2 * penalty).mean();
  expect("out/Greg_loss", loss);
  expect_gradients("gradG_pl", *g, loss);
}

TEST_P(GeneratorGolden, StoredParametersFollowTheRule) {
  const torch::NoGradGuard no_grad;
  auto g = generator();
  for (const auto& [key, tensor] : state_of(*g))
    golden::expect_equal(set(), "param/G." + key, tensor, 1e-12);
}

}  // namespace
}  // namespace stylescope::testing_support
