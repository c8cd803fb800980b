#include "io/base/error.hpp"
#include "stages/networks/grad_cam.hpp"
#include "stages/networks/resnet.hpp"
#include "stages/networks/resnet_io.hpp"
#include "tests/stages/networks/golden_resnet.hpp"
#include "tests/support/golden.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

// torchvision's ResNet50 and grad-cam in float64 on weights made by rule (tests/golden/README.md).
namespace stylescope {
namespace {

struct Place {
  torch::DeviceType device;
  torch::Dtype dtype;
};

class ResNetGolden : public testing::TestWithParam<Place> {
 protected:
  void SetUp() override {
    const auto [device, dtype] = GetParam();
    if (device == torch::kCUDA && !torch::cuda::is_available())
      GTEST_SKIP() << "no CUDA device here";
    options_ = torch::dtype(dtype).device(device);
    network_ = ResNet(ResNetOptions{});
    network_->to(torch::Device(device), dtype);
    golden::fill_resnet50(network_);
  }

  torch::Tensor input(const std::string& name, at::IntArrayRef shape) const {
    return golden::values(name, golden::kResNetSeed, shape).to(options_);
  }

  // float64: 1e-9. float32: four times what torchvision's own float32 run is off, at least 1e-5
  // (the golden data's rule); err32 holds the largest difference and the relative L2 one.
  void expect(const std::string& key, const torch::Tensor& actual) const {
    double rel = 1e-9;
    const auto& stored = golden::load("resnet50");
    if (GetParam().dtype == torch::kFloat32) {
      rel = 1e-5;
      if (const auto found = stored.find(key + ".err32"); found != stored.end()) {
        const auto full = stored.find(key);
        const double largest = full != stored.end() ? full->second.abs().max().item<double>()
                                                    : stored.at(key + ".chk")[3].item<double>();
        const auto* err = found->second.data_ptr<double>();
        rel = std::max({rel, 4 * err[1], 4 * err[0] / largest});
      }
    }
    golden::expect_equal("resnet50", key, actual, rel);
  }

  torch::TensorOptions options_;
  ResNet network_{nullptr};
};

INSTANTIATE_TEST_SUITE_P(Places, ResNetGolden,
                         testing::Values(Place{torch::kCPU, torch::kFloat64},
                                         Place{torch::kCPU, torch::kFloat32},
                                         Place{torch::kCUDA, torch::kFloat64},
                                         Place{torch::kCUDA, torch::kFloat32}),
                         [](const auto& info) {
                           return std::string(info.param.device == torch::kCPU ? "cpu" : "cuda") +
                                  (info.param.dtype == torch::kFloat64 ? "_float64" : "_float32");
                         });

TEST_P(ResNetGolden, Weights) {
  for (const auto& [key, tensor] : state_dict(network_)) {
    if (key.ends_with("num_batches_tracked")) continue;
    const auto& stored = golden::load("resnet50");
    ASSERT_TRUE(stored.contains("param/" + key + ".chk")) << key;
    golden::expect_equal("resnet50", "param/" + key, tensor, 1e-9);
    const auto head = tensor.detach().cpu().reshape(-1).slice(0, 0, 4);
    EXPECT_TRUE(head.to(torch::kFloat32).equal(stored.at("param/" + key + ".head"))) << key;
  }
}

TEST_P(ResNetGolden, Evaluation) {
  const Evaluation evaluation(network_);
  auto y = network_->stem(input("r50.x", {2, 3, 64, 64}));
  expect("eval/stem", y);
  for (int64_t i = 1; i <= 4; ++i) {
    y = network_->layer(i, y);
    expect("eval/layer" + std::to_string(i), y);
  }
  expect("eval/pool", y.mean({2, 3}));
  expect("eval/logits", network_->head(y));
  expect("eval/logits", network_(input("r50.x", {2, 3, 64, 64})));
}

TEST_P(ResNetGolden, TrainingStep) {
  network_->train();
  const auto logits = network_(input("r50.x4", {4, 3, 64, 64}));
  const auto labels = golden::load("resnet50").at("in/y4").to(options_.device());
  const auto loss = torch::cross_entropy_loss(logits, labels);
  expect("train/logits", logits);
  expect("train/loss", loss);
  loss.backward();
  for (const auto& item : network_->named_parameters())
    expect("grad/" + item.key(), item.value().grad());
  update_running_statistics(network_, 1, [](torch::Tensor&) {});
  for (const auto& item : network_->named_buffers()) {
    if (item.key().ends_with("num_batches_tracked")) {
      EXPECT_EQ(item.value().item<int64_t>(), 1);
      EXPECT_EQ(item.value().scalar_type(), torch::kLong);
    } else {
      expect("buf_after/" + item.key(), item.value());
    }
  }
}

TEST_P(ResNetGolden, GradCam) {
  const auto cam = grad_cam(network_, input("r50.xcam", {2, 3, 224, 224}), class_target({281, 7}));
  expect("cam/logits", cam.logits.slice(1, 0, 10));
  expect("cam/weights", cam.weights);
  expect("cam/signed", cam.signed_map);
  expect("cam/raw", cam.raw);
  // What pytorch_grad_cam gives, which computes in float32 and stretches a map whose values are
  // close together.
  const double tolerance = 1e-5;
  golden::expect_equal("resnet50", "cam/library_224", cam.map[0], tolerance);
  golden::expect_equal("resnet50", "cam/library_224_b", cam.map[1], tolerance);
  EXPECT_TRUE(network_->is_training());
}

}  // namespace
}  // namespace stylescope
