// The networks through our operators and through plain LibTorch operations: the same function of
// the same weights, with its first and second derivatives.
#include "stages/networks/discriminator.hpp"
#include "stages/networks/generator.hpp"
#include "tests/support/golden.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace stylescope::testing_support {
namespace {

constexpr double kBound = 1e-9;

struct Case {
  std::string name;
  int64_t resolution, c_dim, image_channels;
  double clamp;
  bool training;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{{"8_grey", 8, 0, 1, 0, true},
                                     {"16", 16, 0, 3, 0, true},
                                     {"16_grouped", 16, 0, 3, 0, false},
                                     {"16_conditional", 16, 2, 3, 0, true},
                                     {"16_clamped", 16, 0, 3, 0.7, true},
                                     {"32_clamped_conditional_grouped", 32, 3, 1, 0.7, false}};
  return all;
}

GeneratorOptions generator_options(const Case& c, Operations operations) {
  GeneratorOptions o;
  o.z_dim = 12;
  o.w_dim = 16;
  o.c_dim = c.c_dim;
  o.resolution = c.resolution;
  o.image_channels = c.image_channels;
  o.channel_base = 2048;
  o.channel_max = 64;  // what Winograd's convolution takes
  o.mapping_layers = 2;
  o.clamp = c.clamp;
  o.numerics.operations = operations;
  return o;
}

DiscriminatorOptions discriminator_options(const Case& c, Operations operations) {
  DiscriminatorOptions o;
  o.c_dim = c.c_dim;
  o.resolution = c.resolution;
  o.image_channels = c.image_channels;
  o.channel_base = 2048;
  o.channel_max = 64;  // what Winograd's convolution takes
  o.mapping_layers = 2;
  o.clamp = c.clamp;
  o.numerics.operations = operations;
  return o;
}

// Weights that leave no term of a formula out: biases and noise strengths are 0 at the start.
template <class Network, class Options>
Network network(const Options& options, bool training) {
  Network made(options);
  initialize(made, 3);
  made->to(torch::kFloat64);
  made->train(training);
  const torch::NoGradGuard no_grad;
  uint64_t key = 0;
  for (auto& p : made->named_parameters()) {
    const bool zero = p.value().abs().max().template item<double>() == 0;
    if (zero) p.value().copy_(0.3 * golden::values(p.key(), ++key, p.value().sizes()));
  }
  return made;
}

torch::Tensor one_hot(const Case& c, int64_t n) {
  if (c.c_dim == 0) return {};
  return torch::one_hot(torch::arange(n).remainder(c.c_dim), c.c_dim).to(torch::kFloat64);
}

// Gradients in all parameters; zeros where there is none.
std::vector<torch::Tensor> in_parameters(torch::nn::Module& module, const torch::Tensor& value) {
  const auto parameters = module.parameters();
  auto gradients = torch::autograd::grad({value}, parameters, {}, true, false, true);
  for (size_t i = 0; i < gradients.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = torch::zeros_like(parameters[i]);
  return gradients;
}

void expect_equal(const std::vector<torch::Tensor>& ours, const std::vector<torch::Tensor>& plain,
                  const char* what) {
  ASSERT_EQ(ours.size(), plain.size());
  double largest = 0;
  for (const auto& p : plain) largest = std::max(largest, p.abs().max().item<double>());
  EXPECT_GT(largest, 1e-6) << what;
  for (size_t i = 0; i < ours.size(); ++i)
    EXPECT_LT((ours[i] - plain[i]).abs().max().item<double>(), kBound * largest)
        << what << " " << i;
}

// The value, its gradients, and those of the regulariser that squares the gradient in `of`.
struct Derivatives {
  std::vector<torch::Tensor> value, first, second;
};

class Operators : public testing::TestWithParam<Case> {
 protected:
  static Derivatives of_generator(Operations operations) {
    const auto& c = GetParam();
    auto g = network<Generator>(generator_options(c, operations), c.training);
    const int64_t n = 3;
    const auto z = golden::values("z", 1, {n, 12});
    const Noise noise{Noise::Mode::given,
                      golden::values("noise", 2, {n, g->options().noise_size()})};
    const auto ws = g->broadcast(g->map(z, one_hot(c, n)));
    const auto images = g->synthesize(ws, noise);
    const auto y = golden::values("y", 3, images.sizes());
    const auto sum = (images * y).sum();
    const auto in_ws = torch::autograd::grad({sum}, {ws}, {}, true, true)[0];
    return {{images, in_ws}, in_parameters(*g, sum), in_parameters(*g, in_ws.square().sum())};
  }
  static Derivatives of_discriminator(Operations operations) {
    const auto& c = GetParam();
    auto d = network<Discriminator>(discriminator_options(c, operations), c.training);
    const int64_t n = 4;
    auto images = golden::values("images", 4, {n, c.image_channels, c.resolution, c.resolution});
    images.requires_grad_(true);
    const auto logits = d(images, one_hot(c, n));
    const auto sum = (logits * golden::values("r", 5, logits.sizes())).sum();
    const auto in_images = torch::autograd::grad({sum}, {images}, {}, true, true)[0];
    return {
        {logits, in_images}, in_parameters(*d, sum), in_parameters(*d, in_images.square().sum())};
  }
  static void compare(const Derivatives& ours, const Derivatives& plain) {
    for (size_t i = 0; i < ours.value.size(); ++i)
      expect_equal({ours.value[i]}, {plain.value[i]}, "value");
    expect_equal(ours.first, plain.first, "first derivative");
    expect_equal(ours.second, plain.second, "second derivative");
  }
};

TEST_P(Operators, MakeThePlainGenerator) {
  compare(of_generator(Operations::fast), of_generator(Operations::reference));
}

TEST_P(Operators, MakeThePlainDiscriminator) {
  compare(of_discriminator(Operations::fast), of_discriminator(Operations::reference));
}

// Features in bfloat16: 8 bits, so that every operation rounds by up to 2^-9 of its result, and a
// network of some ten layers of three roundings each is off by a few times 2^-8. Derivatives jump
// at the kink of the leaky ReLU: where such an error changes a sign (a share of 2^-8 of the values
// in each layer) a factor of 1 becomes 0.2. Of some 12 layers that is 0.8 sqrt(12 / 256) = 0.17 of
// a gradient's length.
struct HalfNetworks {
  GeneratorOptions generator;
  DiscriminatorOptions discriminator;
  explicit HalfNetworks(Operations operations, std::optional<torch::Dtype> half) {
    const Case c{"", 32, 0, 3, kHalfClamp, true};
    generator = generator_options(c, operations);
    generator.numerics.half = half;
    generator.channel_base = 512;
    generator.channel_max = 32;
    discriminator = discriminator_options(c, operations);
    discriminator.numerics.half = half;
    discriminator.channel_base = 512;
    discriminator.channel_max = 32;
  }
  // Image, logits; gradients of G through D in all weights; gradients of R1.
  Derivatives derivatives(int64_t draw) const {
    auto g = network<Generator>(generator, true);
    auto d = network<Discriminator>(discriminator, true);
    g->to(torch::kFloat32);
    d->to(torch::kFloat32);
    const int64_t n = 4;
    const auto z = golden::values("z", 1 + draw, {n, 12}).to(torch::kFloat32);
    const auto noise = golden::values("noise", 2, {n, g->options().noise_size()});
    const auto ws = g->broadcast(g->map(z));
    const auto images = g->synthesize(ws, {Noise::Mode::given, noise.to(torch::kFloat32)});
    const auto logits = d(images);
    auto real = images.detach().requires_grad_(true);
    const auto in_images = torch::autograd::grad({d(real).sum()}, {real}, {}, true, true)[0];
    auto first = in_parameters(*g, logits.sum());
    for (const auto& gradient : in_parameters(*d, logits.sum())) first.push_back(gradient);
    return {{images, logits}, first, in_parameters(*d, in_images.square().sum())};
  }
};

// The distance of all of them together, of the length of the right ones.
double distance(const std::vector<torch::Tensor>& found, const std::vector<torch::Tensor>& right) {
  double apart = 0, length = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].scalar_type(), torch::kFloat32);
    EXPECT_TRUE(found[i].isfinite().all().item<bool>());
    apart += (found[i] - right[i]).square().sum().item<double>();
    length += right[i].square().sum().item<double>();
  }
  return std::sqrt(apart / length);
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<int64_t>(values.size() / 2));
  return values[values.size() / 2];
}

// Values stay within a few roundings. Derivatives do not: a rounding that moves a feature across
// the kink of the activation changes its slope, and in D's last layers one such feature can turn
// the gradient by a sixth. There plain operations in bfloat16 are the measure, and the median of
// many draws: of 120, five of ours were off by more than a tenth and two of the plain ones.
TEST(HalfFeatures, AreAsCloseToFloat32AsPlainOperations) {
  constexpr double step = 1.0 / 256;
  std::vector<double> first, second, plain_first, plain_second;
  for (int64_t draw = 0; draw < 15; ++draw) {
    const auto right = HalfNetworks(Operations::fast, {}).derivatives(draw);
    const auto plain = HalfNetworks(Operations::reference, torch::kBFloat16).derivatives(draw);
    const auto ours = HalfNetworks(Operations::fast, torch::kBFloat16).derivatives(draw);
    EXPECT_GT(distance(ours.value, right.value), step / 16);  // they are in use
    EXPECT_LT(distance(ours.value, right.value), 4 * step);
    first.push_back(distance(ours.first, right.first));
    second.push_back(distance(ours.second, right.second));
    plain_first.push_back(distance(plain.first, right.first));
    plain_second.push_back(distance(plain.second, right.second));
  }
  EXPECT_LT(median(first), 1.25 * median(plain_first));
  EXPECT_LT(median(second), 1.25 * median(plain_second));
}

TEST(HalfFeatures, AreThoseOfTheHighestResolutions) {
  const auto full = torch::kFloat32, half = torch::kBFloat16;
  const Numerics n{Operations::fast, half, 4};
  // As num_fp16_res 4 of StyleGAN2-ADA: from max(2^(log2(res) + 1 - 4), 8) on.
  for (const int64_t highest : {16, 32, 64, 128, 256, 1024})
    for (int64_t r = 4; r <= highest; r *= 2)
      EXPECT_EQ(n.features(r, highest, full), r >= std::max<int64_t>(highest / 8, 8) ? half : full)
          << r << " of " << highest;
  EXPECT_EQ((Numerics{Operations::fast, half, 0}).features(64, 64, full), full);
  EXPECT_EQ(Numerics{}.features(64, 64, full), full);
}

INSTANTIATE_TEST_SUITE_P(Networks, Operators, testing::ValuesIn(cases()),
                         [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace stylescope::testing_support
