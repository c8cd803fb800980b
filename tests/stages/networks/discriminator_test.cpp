#include "stages/networks/discriminator.hpp"

#include "io/base/error.hpp"
#include "stages/networks/state.hpp"
#include "tests/stages/networks/golden_networks.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace stylescope::testing_support {
namespace {

DiscriminatorOptions small(int64_t c_dim = 0) {
  DiscriminatorOptions o;
  o.c_dim = c_dim;
  o.resolution = 16;
  o.image_channels = 1;
  o.channel_base = 128;
  o.channel_max = 16;
  o.mapping_layers = 2;
  o.mbstd_group = 2;
  return o;
}

TEST(Discriminator, HasTheReferencesParameterCounts) {
  struct Row {
    int64_t resolution, base, channels, c_dim, parameters;
  };
  for (const auto& r : {Row{64, 16384, 3, 0, 23407361}, Row{64, 16384, 3, 2, 25772288},
                        Row{64, 16384, 1, 0, 23406849}, Row{128, 16384, 3, 0, 23882369},
                        Row{256, 16384, 3, 0, 24001089}, Row{256, 32768, 3, 0, 28864129},
                        Row{512, 32768, 3, 0, 28982849}, Row{1024, 32768, 3, 0, 29012513}}) {
    DiscriminatorOptions o;
    o.resolution = r.resolution;
    o.channel_base = r.base;
    o.image_channels = r.channels;
    o.c_dim = r.c_dim;
    EXPECT_EQ(parameter_count(*Discriminator(o)), r.parameters) << r.resolution << " " << r.base;
  }
}

TEST(Discriminator, RegistersTensorsInTheReferencesOrder) {
  DiscriminatorOptions o;
  const auto plain = state_of(*Discriminator(o));
  ASSERT_EQ(plain.size(), 46u);
  const std::vector<std::string> first{
      "b64.resample_filter",         "b64.fromrgb.weight", "b64.fromrgb.bias",
      "b64.fromrgb.resample_filter", "b64.conv0.weight",   "b64.conv0.bias",
      "b64.conv0.resample_filter",   "b64.conv1.weight",   "b64.conv1.bias",
      "b64.conv1.resample_filter",   "b64.skip.weight",    "b64.skip.resample_filter",
      "b32.resample_filter"};
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(plain[i].first, first[i]);
  o.c_dim = 2;
  const auto conditional = state_of(*Discriminator(o));
  ASSERT_EQ(conditional.size(), 64u);
  EXPECT_EQ(conditional[39].first, "mapping.embed.weight");
  EXPECT_EQ(conditional[57].first, "b4.conv.weight");
}

TEST(Discriminator, JudgesImagesOfEverySize) {
  const torch::NoGradGuard no_grad;
  for (int64_t r = 8; r <= 1024; r *= 2) {
    auto o = small();
    o.resolution = r;
    o.channel_base = 1024;
    o.channel_max = 4;
    Discriminator d(o);
    initialize(d, 1);
    EXPECT_EQ(d(torch::rand({2, 1, r, r})).sizes(), (std::vector<int64_t>{2, 1}));
  }
}

TEST(Discriminator, AnswersForChangedImagesAndLabels) {
  const torch::NoGradGuard no_grad;
  Discriminator d(small(2));
  initialize(d, 1);
  const auto image = golden::values("image", 0, {1, 1, 16, 16}).to(torch::kFloat32);
  const auto one = torch::tensor({{1.0f, 0.0f}}), two = torch::tensor({{0.0f, 1.0f}});
  const auto first = d(image, one).item<double>();
  EXPECT_GT(std::abs(first - d(image, two).item<double>()), 1e-4);
  EXPECT_GT(std::abs(first - d(-image, one).item<double>()), 1e-4);
  EXPECT_THROW(d(image), std::logic_error);
}

TEST(DiscriminatorFile, RoundTripKeepsEveryBitAndFindsTheOptions) {
  const TempDir folder;
  const auto file = (folder / "D.safetensors").string();
  for (const int64_t c_dim : {0, 3}) {
    auto o = small(c_dim);
    o.clamp = 1.5;
    Discriminator d(o);
    initialize(d, 5);
    save_discriminator(file, d);
    auto loaded = load_discriminator(file, torch::kCPU, torch::kFloat32);
    const auto left = state_of(*d), right = state_of(*loaded);
    ASSERT_EQ(left.size(), right.size());
    for (size_t i = 0; i < left.size(); ++i)
      EXPECT_TRUE(torch::equal(left[i].second, right[i].second)) << left[i].first;
    EXPECT_EQ(loaded->options().mbstd_group, 2);
    EXPECT_EQ(loaded->options().clamp, 1.5);
    EXPECT_EQ(loaded->options().c_dim, c_dim);
    EXPECT_EQ(loaded->options().resolution, 16);
  }
}

}  // namespace
}  // namespace stylescope::testing_support
