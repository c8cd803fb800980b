#include "stages/networks/resnet_io.hpp"
#include "stages/script/network_script.hpp"
#include "tests/stages/networks/golden_resnet.hpp"
#include "tests/stages/script/script_file.hpp"

#include <map>

// E and f as TorchScript give what our networks give.
namespace stylescope::testing_support {
namespace {

struct Case {
  int64_t depth;
  const char* stem;
  int64_t channels;
};

std::string name_of(const testing::TestParamInfo<Case>& info) {
  return "ResNet" + std::to_string(info.param.depth) + "_" + info.param.stem + "_" +
         std::to_string(info.param.channels);
}

class ResNetScript : public testing::TestWithParam<Case> {
 protected:
  static constexpr int64_t kSide = 32;

  // Random weights with running statistics of which no two are alike.
  ResNet network(int64_t outputs, torch::Dtype dtype) const {
    ResNetOptions options;
    options.depth = GetParam().depth;
    options.stem = GetParam().stem;
    options.input_channels = GetParam().channels;
    options.outputs = outputs;
    options.width = 8;
    ResNet made(options);
    made->to(torch::kCPU, dtype);
    initialize(made, 3, /*zero_init_residual=*/false);
    torch::manual_seed(4);
    for (auto& norm : made->batch_norms()) {
      norm->running_mean.uniform_(-0.1, 0.1);
      norm->running_var.uniform_(0.5, 1.5);
    }
    made->eval();
    return made;
  }
  torch::Tensor bytes() const {
    torch::manual_seed(5);
    return torch::randint(256, {2, GetParam().channels, kSide, kSide}, torch::kUInt8);
  }
};
INSTANTIATE_TEST_SUITE_P(, ResNetScript,
                         testing::Values(Case{18, "imagenet", 3}, Case{18, "small", 1},
                                         Case{34, "imagenet", 1}, Case{50, "imagenet", 3},
                                         Case{50, "small", 3}),
                         name_of);

TEST_P(ResNetScript, ClassifierGivesTheSameScores) {
  for (const auto dtype : {torch::kFloat64, torch::kFloat32}) {
    Classifier f;
    f.network = network(3, dtype);
    f.class_names = {"none", "some", "much"};
    f.positive = {1, 2};
    const auto channels = static_cast<size_t>(GetParam().channels);
    f.mean.assign(channels, 0.45);
    f.stddev.assign(channels, 0.2);
    f.resolution = kSide;
    auto script = through_a_file(script_classifier(f));
    const auto logits = evaluate_in_batches(f.network, bytes(), kSide, 8,
                                            [&](const torch::Tensor& x) { return f.prepare(x); });
    expect_same(call(script, "logits", {bytes()}), logits);
    expect_same(call(script, "logits", {bytes().to(dtype) / 255}), logits);
    expect_same(call(script, "forward", {bytes()}), f.probabilities(bytes()).to(dtype));
    expect_same(call(script, "score", {bytes()}), f.scores(bytes()).to(dtype));
    EXPECT_EQ(script.attr("class_names").toList().get(2).toStringRef(), "much");
  }
}

TEST_P(ResNetScript, EncoderGivesTheSameLatents) {
  for (const auto dtype : {torch::kFloat64, torch::kFloat32}) {
    Encoder e;
    e.network = network(16, dtype);
    e.w_mean = torch::linspace(-1, 1, 16, torch::kFloat64).to(dtype);
    e.w_scale = torch::linspace(0.5, 2, 16, torch::kFloat64).to(dtype);
    e.resolution = kSide;
    auto script = through_a_file(script_encoder(e));
    const auto w = e.encode(bytes());
    expect_same(call(script, "forward", {bytes()}), w);
    // Numbers of the generator's range mean the same image.
    expect_same(call(script, "forward", {bytes().to(dtype) / 127.5 - 1}), w);
  }
}

TEST_P(ResNetScript, KeepsTorchvisionsNames) {
  Encoder e;
  e.network = network(16, torch::kFloat32);
  e.w_mean = torch::zeros({16});
  e.w_scale = torch::ones({16});
  e.resolution = kSide;
  auto script = through_a_file(script_encoder(e));
  std::map<std::string, torch::Tensor> stored;
  for (const auto& item : script.named_parameters()) stored[item.name] = item.value;
  for (const auto& item : script.named_buffers()) stored[item.name] = item.value;
  for (const auto& [name, tensor] : state_dict(e.network)) {
    ASSERT_TRUE(stored.contains(name)) << name;
    EXPECT_TRUE(stored.at(name).equal(tensor)) << name;
  }
}

TEST_P(ResNetScript, SaysWhatDoesNotFit) {
  Classifier f;
  f.network = network(2, torch::kFloat32);
  f.class_names = {"no", "yes"};
  f.positive = {1};
  f.mean.assign(static_cast<size_t>(GetParam().channels), 0.5);
  f.stddev = f.mean;
  f.resolution = kSide;
  auto script = through_a_file(script_classifier(f));
  const auto says = [&](const torch::Tensor& images) -> std::string {
    try {
      call(script, "forward", {images});
    } catch (const std::exception& error) {
      return error.what();
    }
    return "accepted";
  };
  const auto size = std::to_string(GetParam().channels) + ", 32, 32)";
  EXPECT_NE(says(bytes().narrow(2, 0, 24)).find("images must be (N, " + size), std::string::npos);
  EXPECT_NE(says(bytes().to(torch::kFloat32)).find("must be bytes"), std::string::npos);
  EXPECT_NE(says(-bytes().to(torch::kFloat32) / 255).find("must be bytes"), std::string::npos);
}

TEST(ResNetScriptGolden, ResNet50OfTheGoldenSet) {
  const torch::NoGradGuard no_grad;
  ResNet network(ResNetOptions{});
  network->to(torch::kCPU, torch::kFloat64);
  golden::fill_resnet50(network);
  network->eval();
  Classifier f;
  f.network = network;
  for (int64_t k = 0; k < 1000; ++k) f.class_names.push_back(std::to_string(k));
  f.positive = {1};
  f.mean = {0.485, 0.456, 0.406};
  f.stddev = {0.229, 0.224, 0.225};
  f.resolution = 64;
  auto script = through_a_file(script_classifier(f));
  torch::manual_seed(6);
  const auto bytes = torch::randint(256, {1, 3, 64, 64}, torch::kUInt8);
  expect_same(call(script, "logits", {bytes}), network(f.prepare(bytes)));
}

}  // namespace
}  // namespace stylescope::testing_support
