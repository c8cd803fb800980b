#pragma once

#include "stages/networks/discriminator.hpp"
#include "stages/networks/generator.hpp"
#include "stages/networks/state.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/golden_weights.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

// The networks and inputs of the golden sets g64 and g32c (tests/golden/README.md), on one device
// in one precision.
namespace stylescope::testing_support {

struct GoldenCase {
  const char* set;
  const char* device;
};

inline std::string case_name(const testing::TestParamInfo<GoldenCase>& info) {
  return std::string(info.param.set) + "_" + info.param.device;
}

class GoldenNetworks : public testing::TestWithParam<GoldenCase> {
 protected:
  void SetUp() override {
    if (std::string(GetParam().device) == "cuda" && !torch::cuda::is_available())
      GTEST_SKIP() << "this machine has no GPU";
  }

  bool big() const { return set() == "g64"; }
  std::string set() const { return GetParam().set; }
  int64_t seed() const { return big() ? 1 : 2; }
  double pl_mean() const { return big() ? 0.3 : 0.1; }
  torch::Device device() const { return torch::Device(GetParam().device); }

  // `dtype` of everything made after this call.
  void precision(torch::Dtype dtype) { dtype_ = dtype; }

  Generator generator(double clamp = 0) const {
    GeneratorOptions o;
    o.z_dim = big() ? 512 : 64;
    o.w_dim = big() ? 512 : 96;
    o.c_dim = big() ? 0 : 3;
    o.resolution = resolution();
    o.image_channels = channels();
    o.channel_base = big() ? 2048 : 1024;
    o.channel_max = big() ? 64 : 32;
    o.clamp = clamp;
    Generator network(o);
    fill(*network, "G");
    return network;
  }

  Discriminator discriminator(double clamp = 0) const {
    DiscriminatorOptions o;
    o.c_dim = big() ? 0 : 3;
    o.resolution = resolution();
    o.image_channels = channels();
    o.channel_base = big() ? 2048 : 1024;
    o.channel_max = big() ? 64 : 32;
    o.clamp = clamp;
    Discriminator network(o);
    fill(*network, "D");
    return network;
  }

  int64_t resolution() const { return big() ? 64 : 32; }
  int64_t channels() const { return big() ? 3 : 1; }
  torch::Tensor z(int64_t n = 8) const { return input("z").narrow(0, 0, n); }
  torch::Tensor c(int64_t n = 8) const {
    return big() ? torch::Tensor() : input("c").narrow(0, 0, n);
  }
  torch::Tensor real_c(int64_t n = 8) const {
    return big() ? torch::Tensor() : input("real_c").narrow(0, 0, n);
  }
  torch::Tensor real(int64_t n = 8) const {
    return image_values("in.real", 8, 0.5).clamp(-1, 1).narrow(0, 0, n).to(device(), dtype_);
  }
  torch::Tensor pl_noise() const { return image_values("in.pl_noise", 2, 1).to(device(), dtype_); }
  torch::Tensor input(const std::string& name) const {
    return golden::load(set()).at("in/" + name).to(device(), dtype_);
  }

  void expect(const std::string& key, const torch::Tensor& actual) const {
    golden::expect_equal(set(), key, actual, 1e-9);
  }
  // The reference's own float32 error, four times, but at least 1e-5 of the largest magnitude.
  void expect_float32(const std::string& key, const torch::Tensor& actual) const {
    const auto& stored = golden::load(set());
    const auto truth = stored.at(key).to(torch::kFloat64);
    const double error = stored.at(key + ".err32")[0].item<double>();
    const double bound = std::max(4 * error, 1e-5 * truth.abs().max().item<double>());
    const auto difference =
        actual.detach().to(torch::kCPU, torch::kFloat64).reshape(truth.sizes()) - truth;
    EXPECT_LE(difference.abs().max().item<double>(), bound) << set() << " " << key;
  }
  // The gradients of `loss` in all parameters, against prefix/<name>.
  void expect_gradients(const std::string& prefix, torch::nn::Module& module,
                        const torch::Tensor& loss) const {
    const auto named = module.named_parameters();
    std::vector<torch::Tensor> parameters;
    for (const auto& item : named) parameters.push_back(item.value());
    auto gradients =
        torch::autograd::grad({loss}, parameters, {}, false, false, /*allow_unused=*/true);
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined()) gradients[i] = torch::zeros_like(parameters[i]);
      expect(prefix + "/" + named[i].key(), gradients[i]);
    }
  }

 private:
  void fill(torch::nn::Module& module, const std::string& name) const {
    module.to(device(), dtype_);
    golden::fill_weights(state_of(module), name + ".", seed());
  }
  torch::Tensor image_values(const std::string& name, int64_t n, double std) const {
    return golden::values(name, seed(), {n, channels(), resolution(), resolution()}, 0, std);
  }

  torch::Dtype dtype_ = torch::kFloat64;
};

inline int64_t parameter_count(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& p : module.parameters()) count += p.numel();
  return count;
}

#define INSTANTIATE_GOLDEN_NETWORKS(Suite)                                                         \
  INSTANTIATE_TEST_SUITE_P(, Suite,                                                                \
                           testing::Values(GoldenCase{"g64", "cpu"}, GoldenCase{"g32c", "cpu"},    \
                                           GoldenCase{"g64", "cuda"}, GoldenCase{"g32c", "cuda"}), \
                           case_name)

}  // namespace stylescope::testing_support
