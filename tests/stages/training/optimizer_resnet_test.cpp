#include "stages/networks/resnet.hpp"
#include "stages/training/flat_parameters.hpp"
#include "stages/training/optimizer.hpp"
#include "tests/stages/networks/golden_resnet.hpp"
#include "tests/support/golden.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

// Two steps of PyTorch's SGD (momentum 0.9, weight decay 1e-4) on torchvision's ResNet50, both with
// the gradient of the first batch.
TEST(Sgd, TwoStepsOfResNet50) {
  ResNet network(ResNetOptions{});
  network->to(torch::kFloat64);
  golden::fill_resnet50(network);
  FlatParameters flat(*network);
  Sgd sgd(flat, 0.9, 1e-4);
  flat.zero_gradients();
  network->train();
  const auto logits = network(golden::values("r50.x4", golden::kResNetSeed, {4, 3, 64, 64}));
  torch::cross_entropy_loss(logits, golden::load("resnet50").at("in/y4")).backward();
  for (int step = 0; step < 2; ++step) sgd.step(flat, 0.01);
  const auto parameters = network->named_parameters();
  for (const std::string key : {"fc.bias", "layer1.0.conv1.weight", "layer4.2.bn3.weight"}) {
    golden::expect_equal("resnet50", "sgd2/" + key, parameters[key], 1e-9);
  }
}

}  // namespace
}  // namespace stylescope
