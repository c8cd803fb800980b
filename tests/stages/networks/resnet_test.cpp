#include "stages/networks/resnet.hpp"

#include "io/base/error.hpp"
#include "stages/networks/classifier.hpp"
#include "stages/networks/encoder.hpp"
#include "stages/networks/grad_cam.hpp"
#include "stages/networks/resnet_io.hpp"
#include "tests/support/golden.hpp"

#include <cmath>
#include <filesystem>
#include <functional>
#include <unistd.h>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

ResNetOptions tiny(int64_t depth = 18, int64_t channels = 1, int64_t outputs = 3) {
  return {depth, "small", channels, outputs, 4};
}

ResNet tiny_network(uint64_t seed, const ResNetOptions& options = tiny()) {
  ResNet network(options);
  network->to(torch::kFloat64);
  initialize(network, seed, false);
  return network;
}

torch::Tensor bytes(const std::string& name, at::IntArrayRef shape) {
  return (golden::uniform(name, 1, shape) * 256).floor().clamp_max(255).to(torch::kByte);
}

class ResNetFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              (std::string("stylescope_") + test->name() + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  std::filesystem::path folder_;
};

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ResNet, ShapesAndNames) {
  struct Case {
    int64_t depth, tensors, channels;
  };
  // Names of torchvision's models: 122, 218 and 320 entries in their state dicts.
  for (const auto& [depth, tensors, channels] :
       {Case{18, 122, 512}, Case{34, 218, 512}, Case{50, 320, 2048}}) {
    ResNetOptions options;
    options.depth = depth;
    options.width = 8;
    ResNet network(options);
    network->eval();
    const auto state = state_dict(network);
    EXPECT_EQ(static_cast<int64_t>(state.size()), tensors) << depth;
    EXPECT_EQ(state.front().first, "conv1.weight");
    EXPECT_EQ(state.back().first, "fc.bias");
    EXPECT_EQ(network->feature_channels(), channels / 8);
    const auto features = network->features(torch::zeros({2, 3, 64, 32}));
    EXPECT_EQ(features.sizes(), (std::vector<int64_t>{2, channels / 8, 2, 1}));
    EXPECT_EQ(network->head(features).sizes(), (std::vector<int64_t>{2, 1000}));
  }
  auto small = tiny_network(1);
  small->eval();
  EXPECT_EQ(small->features(torch::zeros({1, 1, 32, 32}, torch::kDouble)).size(3), 4);
}

TEST(ResNet, RejectsUnknownShapes) {
  ResNetOptions options;
  options.depth = 19;
  EXPECT_THROW(ResNet{options}, Error);
  options = {};
  options.stem = "large";
  EXPECT_THROW(ResNet{options}, Error);
}

TEST(ResNet, InitialisationIsKeyedAndScaled) {
  ResNetOptions options = tiny();
  options.width = 32;
  ResNet a(options), b(options), other(options);
  b->to(torch::kFloat64);
  initialize(a, 5, true);
  initialize(b, 5, true);
  initialize(other, 6, true);
  const auto pa = a->named_parameters(), pb = b->named_parameters(), po = other->named_parameters();
  for (const auto& item : pa)
    EXPECT_TRUE(item.value().equal(pb[item.key()].to(torch::kFloat32))) << item.key();
  EXPECT_FALSE(pa["layer1.0.conv1.weight"].equal(po["layer1.0.conv1.weight"]));
  const auto& weight = pa["layer4.1.conv2.weight"];
  EXPECT_NEAR(weight.std().item<double>(), std::sqrt(2.0 / (256 * 9)),
              0.01 * std::sqrt(2.0 / (256 * 9)));
  EXPECT_EQ(pa["layer4.1.bn2.weight"].abs().max().item<double>(), 0);
  EXPECT_EQ(pa["layer4.1.bn1.weight"].min().item<double>(), 1);
}

// Few channels before a strided 1x1 convolution: oneDNN's backward pass writes past its memory
// there, which the heap notices sooner or later.
TEST(ResNet, NarrowOnesLearnInFloat32) {
  for (const int64_t width : {2, 4, 5, 7, 8, 12}) {
    auto options = tiny();
    options.width = width;
    ResNet fast(options), exact(options);
    initialize(fast, 3, false);
    exact->to(torch::kFloat64);
    initialize(exact, 3, false);
    for (int64_t round = 0; round < 20; ++round) {
      const auto x = golden::values("narrow.x", round, {3, 1, 16, 16});
      fast(x.to(torch::kFloat32)).square().sum().backward();
      exact(x).square().sum().backward();
    }
    const auto expected = exact->named_parameters();
    for (const auto& item : fast->named_parameters())
      EXPECT_LE(golden::relative_error(item.value().grad().to(torch::kFloat64),
                                       expected[item.key()].grad()),
                1e-3)
          << width << " " << item.key();
    // From 64 pixels on AVX-512 is at work.
    const auto x = golden::values("narrow.y", 0, {8, 1, 64, 64}).to(torch::kFloat32);
    for (int64_t round = 0; round < 20; ++round) fast(x).square().sum().backward();
  }
}

TEST_F(ResNetFiles, WeightsComeBack) {
  auto network = tiny_network(1), fresh = tiny_network(2);
  write_safetensors(file("w.safetensors"), {state_dict(network), {}});
  load_resnet_weights(fresh, file("w.safetensors"), true);
  const auto expected = state_dict(network), actual = state_dict(fresh);
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(expected[i].second.equal(actual[i].second));
}

TEST_F(ResNetFiles, TransferKeepsTheHeadAndGreysTheStem) {
  auto rgb = tiny_network(1, tiny(18, 3, 7));
  write_safetensors(file("rgb.safetensors"), {state_dict(rgb), {}});
  auto grey = tiny_network(2);
  const auto head = grey->named_parameters()["fc.weight"].clone();
  load_resnet_weights(grey, file("rgb.safetensors"), false);
  EXPECT_TRUE(head.equal(grey->named_parameters()["fc.weight"]));
  const Evaluation first(rgb), second(grey);
  const auto x = golden::values("transfer.x", 1, {2, 1, 16, 16});
  EXPECT_LE(golden::relative_error(grey->features(x), rgb->features(x.expand({2, 3, 16, 16}))),
            1e-12);
}

TEST_F(ResNetFiles, WrongWeightsAreNamed) {
  auto network = tiny_network(1), deeper = tiny_network(1, tiny(34));
  write_safetensors(file("18.safetensors"), {state_dict(network), {}});
  write_safetensors(file("34.safetensors"), {state_dict(deeper), {}});
  const auto lacks = message_of([&] { load_resnet_weights(deeper, file("18.safetensors"), true); });
  EXPECT_NE(lacks.find("18.safetensors: lacks layer1.2.conv1.weight"), std::string::npos) << lacks;
  const auto extra =
      message_of([&] { load_resnet_weights(network, file("34.safetensors"), true); });
  EXPECT_NE(extra.find("holds layer1.2."), std::string::npos) << extra;
  auto wide = tiny_network(1, tiny(18, 1, 9));
  const auto shape = message_of([&] { load_resnet_weights(wide, file("18.safetensors"), true); });
  EXPECT_NE(shape.find("fc.weight has the shape [3, 32]"), std::string::npos) << shape;
}

Classifier tiny_classifier() {
  return {tiny_network(3, tiny(18, 2, 3)),
          {"a\nb", "back\\slash", ""},
          {1, 2},
          {0.1, 1.0 / 3},
          {0.2, 0.7},
          16};
}

TEST_F(ResNetFiles, ClassifierComesBack) {
  auto classifier = tiny_classifier();
  const auto images = bytes("classifier.images", {5, 2, 16, 16});
  const auto probabilities = classifier.probabilities(images, 2);
  EXPECT_TRUE(classifier.network->is_training());
  save_classifier(file("f.safetensors"), classifier);
  auto loaded = load_classifier(file("f.safetensors"), torch::kCPU, torch::kFloat64);
  EXPECT_EQ(loaded.class_names, classifier.class_names);
  EXPECT_EQ(loaded.positive, classifier.positive);
  EXPECT_EQ(loaded.mean, classifier.mean);
  EXPECT_EQ(loaded.stddev, classifier.stddev);
  EXPECT_EQ(loaded.resolution, 16);
  EXPECT_FALSE(loaded.network->is_training());
  EXPECT_LE(golden::relative_error(loaded.probabilities(images), probabilities), 1e-13);
  EXPECT_LE(golden::relative_error(loaded.scores(images), 1 - probabilities.select(1, 0)), 1e-13);
  EXPECT_EQ(loaded.probabilities(images.slice(0, 0, 0)).sizes(), (std::vector<int64_t>{0, 3}));

  const auto x = (images.to(torch::kDouble) / 255).select(1, 1).sub(1.0 / 3).div(0.7);
  EXPECT_LE(golden::relative_error(loaded.prepare(images).select(1, 1), x), 1e-14);
  EXPECT_THROW(loaded.scores(bytes("classifier.images", {5, 2, 32, 32})), Error);
  EXPECT_THROW(load_encoder(file("f.safetensors"), torch::kCPU, torch::kFloat32), Error);
}

TEST_F(ResNetFiles, ClassifierThatMakesNoSenseIsRefused) {
  auto classifier = tiny_classifier();
  classifier.positive = {0, 1, 2};
  EXPECT_THROW(save_classifier(file("f.safetensors"), classifier), Error);
  classifier.positive = {3};
  EXPECT_THROW(save_classifier(file("f.safetensors"), classifier), Error);
}

TEST_F(ResNetFiles, EncoderComesBack) {
  Encoder encoder{tiny_network(4, tiny(18, 1, 6)), golden::values("e.mean", 1, {6}),
                  golden::values("e.scale", 1, {6}, 2, 0.3), 16};
  const auto images = bytes("encoder.images", {5, 1, 16, 16});
  const auto w = encoder.encode(images, 2);
  save_encoder(file("e.safetensors"), encoder);
  auto loaded = load_encoder(file("e.safetensors"), torch::kCPU, torch::kFloat64);
  EXPECT_LE(golden::relative_error(loaded.encode(images), w), 1e-13);
  const Evaluation evaluation(encoder.network);
  const auto output = encoder.network(images.to(torch::kDouble) / 127.5 - 1);
  EXPECT_LE(golden::relative_error(w, encoder.w_mean + encoder.w_scale * output), 1e-13);
}

// The score's own gradient is the log-odds' times s (1 - s): the scaled maps are the same.
TEST(GradCam, LogOddsExplainTheScore) {
  auto network = tiny_network(7);
  const auto x = golden::values("cam.x", 1, {3, 1, 32, 32});
  const auto odds = grad_cam(network, x, log_odds_target({0, 2}));
  const auto score = grad_cam(
      network, x, [](const torch::Tensor& logits) { return 1 - logits.softmax(1).select(1, 1); });
  const auto s = 1 - odds.logits.softmax(1).select(1, 1);
  EXPECT_LE(golden::relative_error(odds.weights * (s * (1 - s)).unsqueeze(1), score.weights),
            1e-11);
  EXPECT_EQ(odds.map.sizes(), (std::vector<int64_t>{3, 32, 32}));
  EXPECT_GE(odds.map.min().item<double>(), 0);
  EXPECT_LE(odds.map.max().item<double>(), 1);
  EXPECT_TRUE(odds.raw.equal(odds.signed_map.clamp_min(0)));
  for (const auto& parameter : network->parameters()) EXPECT_FALSE(parameter.grad().defined());
}

}  // namespace
}  // namespace stylescope
