#include "stages/gan/gan_losses.hpp"

#include "tests/support/golden.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

// The penalty as the reference writes it: the running mean stays in the graph.
torch::Tensor coupled_penalty(const torch::Tensor& lengths, double running_mean, double decay) {
  const auto mean = running_mean + decay * (lengths.mean() - running_mean);
  return (lengths - mean).square().mean();
}

TEST(PathPenalty, WeightsAreTheGradientOfTheCoupledPenalty) {
  const auto lengths = golden::values("test.lengths", 0, {6}, 2, 0.5).requires_grad_(true);
  const auto expected = torch::autograd::grad({coupled_penalty(lengths, 0.7, 0.01)}, {lengths})[0];
  const double mean = lengths.mean().item<double>();
  // Two ranks, each with its share.
  const double updated = updated_path_mean(0.7, mean, 0.01);
  EXPECT_DOUBLE_EQ(updated, 0.7 + 0.01 * (mean - 0.7));
  const auto first = path_penalty(lengths.narrow(0, 0, 4), mean, 6, updated, 0.01);
  const auto second = path_penalty(lengths.narrow(0, 4, 2), mean, 6, updated, 0.01);
  EXPECT_LE(golden::relative_error(torch::cat({first.weights, second.weights}), expected), 1e-14);
  EXPECT_NEAR(torch::cat({first.penalties, second.penalties}).mean().item<double>(),
              coupled_penalty(lengths, 0.7, 0.01).item<double>(), 1e-14);
}

TEST(R1Penalty, OfALinearDiscriminatorIsItsSquaredNorm) {
  const auto weight = golden::values("test.weight", 0, {1, 2, 4, 4});
  const auto images = golden::values("test.images", 0, {3, 2, 4, 4}).requires_grad_(true);
  const auto logits = (images * weight).sum({1, 2, 3}).view({3, 1});
  const double norm = weight.square().sum().item<double>();
  EXPECT_LE(
      golden::relative_error(r1_penalty(logits, images), torch::full({3}, norm, torch::kFloat64)),
      1e-14);
}

TEST(PathLengths, OfALinearGenerator) {
  // images[n, 0, h, w] = sum over layers and dimensions of a[h, w, d] ws[n, l, d]: J^T y is the
  // same for every layer.
  const auto a = golden::values("test.a", 0, {4, 4, 5});
  const auto ws = golden::values("test.ws", 0, {2, 3, 5}).requires_grad_(true);
  const auto noise = golden::values("test.noise", 0, {2, 1, 4, 4});
  const auto images = torch::einsum("hwd,nld->nhw", {a, ws}).unsqueeze(1);
  const auto expected =
      torch::einsum("hwd,nhw->nd", {a, noise.squeeze(1) / 4}).square().sum(1).sqrt();
  EXPECT_LE(golden::relative_error(path_lengths(images, ws, noise), expected), 1e-14);
}

}  // namespace
}  // namespace stylescope
