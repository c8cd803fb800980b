#include "stages/networks/generator.hpp"

#include "io/base/error.hpp"
#include "io/safetensors.hpp"
#include "stages/networks/state.hpp"
#include "tests/stages/networks/golden_networks.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace stylescope::testing_support {
namespace {

GeneratorOptions small(int64_t c_dim = 0) {
  GeneratorOptions o;
  o.z_dim = 12;
  o.w_dim = 16;
  o.c_dim = c_dim;
  o.resolution = 16;
  o.image_channels = 1;
  o.channel_base = 128;
  o.channel_max = 16;
  o.mapping_layers = 3;
  return o;
}

Generator initialized(const GeneratorOptions& options, uint64_t seed = 1) {
  Generator g(options);
  initialize(g, seed);
  return g;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool same(torch::nn::Module& a, torch::nn::Module& b) {
  const auto left = state_of(a), right = state_of(b);
  if (left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i)
    if (left[i].first != right[i].first || !torch::equal(left[i].second, right[i].second))
      return false;
  return true;
}

// facts: parameters of the reference's networks by resolution, channel_base and mapping layers.
TEST(Generator, HasTheReferencesParameterCounts) {
  struct Row {
    int64_t resolution, base, layers, channels, c_dim, parameters, num_ws;
  };
  for (const auto& r :
       {Row{64, 16384, 2, 3, 0, 22243608, 10}, Row{64, 16384, 8, 3, 0, 23819544, 10},
        Row{64, 16384, 8, 3, 2, 24083224, 10}, Row{64, 16384, 2, 1, 0, 22238990, 10},
        Row{128, 16384, 2, 3, 0, 22949277, 12}, Row{128, 16384, 8, 3, 0, 24525213, 12},
        Row{256, 16384, 2, 3, 0, 23191522, 14}, Row{256, 16384, 8, 3, 0, 24767458, 14},
        Row{256, 32768, 2, 3, 0, 28458402, 14}, Row{512, 32768, 2, 3, 0, 28700647, 16},
        Row{512, 32768, 8, 3, 0, 30276583, 16}, Row{1024, 32768, 2, 3, 0, 28794124, 18},
        Row{1024, 32768, 8, 3, 0, 30370060, 18}}) {
    GeneratorOptions o;
    o.resolution = r.resolution;
    o.channel_base = r.base;
    o.mapping_layers = r.layers;
    o.image_channels = r.channels;
    o.c_dim = r.c_dim;
    EXPECT_EQ(parameter_count(*Generator(o)), r.parameters)
        << r.resolution << " " << r.base << " " << r.layers;
    EXPECT_EQ(o.num_ws(), r.num_ws);
  }
}

TEST(Generator, RegistersTensorsInTheReferencesOrder) {
  GeneratorOptions o;  // 64x64 RGB, 8 mapping layers
  const auto state = state_of(*Generator(o));
  ASSERT_EQ(state.size(), 106u);
  const std::vector<std::string> first{"synthesis.b4.const",
                                       "synthesis.b4.resample_filter",
                                       "synthesis.b4.conv1.weight",
                                       "synthesis.b4.conv1.noise_strength",
                                       "synthesis.b4.conv1.bias",
                                       "synthesis.b4.conv1.resample_filter",
                                       "synthesis.b4.conv1.noise_const",
                                       "synthesis.b4.conv1.affine.weight",
                                       "synthesis.b4.conv1.affine.bias",
                                       "synthesis.b4.torgb.weight",
                                       "synthesis.b4.torgb.bias",
                                       "synthesis.b4.torgb.affine.weight",
                                       "synthesis.b4.torgb.affine.bias",
                                       "synthesis.b8.resample_filter",
                                       "synthesis.b8.conv0.weight"};
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(state[i].first, first[i]);
  EXPECT_EQ(state[89].first, "mapping.w_avg");
  EXPECT_EQ(state[90].first, "mapping.fc0.weight");
  EXPECT_EQ(state.back().first, "mapping.fc7.bias");
  int64_t buffers = 0;
  for (const auto& b : Generator(o)->buffers()) buffers += b.numel();
  EXPECT_EQ(buffers, 11632);
}

TEST(Generator, StartsAsTheReferenceDoes) {
  auto g = initialized(small());
  const auto p = g->named_parameters();
  EXPECT_NEAR(p["mapping.fc0.weight"].std().item<double>(), 100, 15);
  EXPECT_NEAR(p["synthesis.b8.conv1.weight"].std().item<double>(), 1, 0.1);
  EXPECT_TRUE(p["synthesis.b8.conv1.affine.bias"].eq(1).all().item<bool>());
  EXPECT_TRUE(p["synthesis.b8.conv1.bias"].eq(0).all().item<bool>());
  EXPECT_EQ(p["synthesis.b8.conv1.noise_strength"].item<double>(), 0);
  EXPECT_TRUE(g->w_avg().eq(0).all().item<bool>());
  EXPECT_FALSE(torch::equal(g->named_buffers()["synthesis.b8.conv0.noise_const"],
                            g->named_buffers()["synthesis.b8.conv1.noise_const"]));
  auto again = initialized(small()), other = initialized(small(), 2);
  EXPECT_TRUE(same(*g, *again));
  EXPECT_FALSE(same(*g, *other));
  Generator wide(small());
  wide->to(torch::kFloat64);
  initialize(wide, 1);
  EXPECT_TRUE(torch::equal(wide->named_parameters()["synthesis.b4.const"].to(torch::kFloat32),
                           p["synthesis.b4.const"]));
}

TEST(Generator, MakesImagesOfEverySize) {
  const torch::NoGradGuard no_grad;
  for (int64_t r = 8; r <= 1024; r *= 2) {
    auto o = small();
    o.resolution = r;
    o.channel_base = 1024;
    o.channel_max = 4;
    auto g = initialized(o);
    const auto image = g->synthesize(torch::randn({1, o.num_ws(), o.w_dim}));
    EXPECT_EQ(image.sizes(), (std::vector<int64_t>{1, 1, r, r}));
    EXPECT_GT(image.std().item<double>(), 0.01);
  }
}

TEST(Generator, TakesGivenNoiseInLayerOrder) {
  const torch::NoGradGuard no_grad;
  const auto o = small();
  auto g = initialized(o);
  std::vector<torch::Tensor> maps;
  for (auto& [name, tensor] : state_of(*g)) {
    if (name.find("noise_strength") != std::string::npos) tensor.fill_(0.5);
    if (name.find("noise_const") != std::string::npos) maps.push_back(tensor.flatten());
  }
  const auto all = torch::cat(maps);
  ASSERT_EQ(all.numel(), o.noise_size());
  const auto ws = torch::randn({3, o.num_ws(), o.w_dim});
  const auto constant = g->synthesize(ws);
  const Noise given{Noise::Mode::given, all.unsqueeze(0).expand({3, -1})};
  EXPECT_TRUE(torch::allclose(constant, g->synthesize(ws, given), 1e-5, 1e-5));
  EXPECT_FALSE(torch::allclose(constant, g->synthesize(ws, {Noise::Mode::none, {}}), 1e-2, 1e-2));
  // Every sample has its own numbers: changing those of one leaves the others alone.
  auto changed = given.given.clone();
  changed[1].neg_();
  const auto images = g->synthesize(ws, {Noise::Mode::given, changed});
  EXPECT_TRUE(torch::allclose(images[0], constant[0], 1e-5, 1e-5));
  EXPECT_FALSE(torch::allclose(images[1], constant[1], 1e-2, 1e-2));
  EXPECT_THROW(g->synthesize(ws, {Noise::Mode::given, all.unsqueeze(0)}), std::logic_error);
}

TEST(Generator, RefusesOptionsThatMakeNoNetwork) {
  auto o = small();
  o.resolution = 48;
  EXPECT_THROW(Generator{o}, Error);
  o.resolution = 256;  // 128 / 256 leaves no channel
  EXPECT_THROW(Generator{o}, Error);
}

TEST(GeneratorFile, RoundTripKeepsEveryBitAndFindsTheOptions) {
  const TempDir folder;
  const auto file = (folder / "G.safetensors").string();
  for (const int64_t c_dim : {0, 2}) {
    auto o = small(c_dim);
    o.clamp = 256;
    auto g = initialized(o);
    save_generator(file, g);
    auto loaded = load_generator(file, torch::kCPU, torch::kFloat32);
    EXPECT_TRUE(same(*g, *loaded));
    EXPECT_FALSE(loaded->is_training());
    const auto& found = loaded->options();
    EXPECT_EQ(found.z_dim, o.z_dim);
    EXPECT_EQ(found.c_dim, c_dim);
    EXPECT_EQ(found.w_dim, o.w_dim);
    EXPECT_EQ(found.resolution, o.resolution);
    EXPECT_EQ(found.image_channels, 1);
    EXPECT_EQ(found.mapping_layers, 3);
    EXPECT_EQ(found.clamp, 256);
  }
  auto o = small();
  Generator wide(o);
  wide->to(torch::kFloat64);
  initialize(wide, 3);
  wide->w_avg().fill_(1.0 / 3);
  save_generator(file, wide);
  auto loaded = load_generator(file, torch::kCPU, torch::kFloat64);
  EXPECT_TRUE(same(*wide, *loaded));
}

TEST(GeneratorFile, SaysWhichTensorIsWrong) {
  const TempDir folder;
  const auto file = (folder / "G.safetensors").string();
  auto g = initialized(small());
  save_generator(file, g);
  const auto whole = read_safetensors(file);
  const auto error_with = [&](const std::function<void(TensorFile&)>& damage) {
    auto content = whole;
    damage(content);
    write_safetensors(file, content);
    return error_of([&] { load_generator(file, torch::kCPU, torch::kFloat32); });
  };
  const auto drop = [](TensorFile& content, const std::string& part) {
    std::erase_if(content.tensors,
                  [&](const auto& item) { return item.first.find(part) != std::string::npos; });
  };
  EXPECT_EQ(error_with([&](TensorFile& f) { drop(f, "resample_filter"); }), "");
  EXPECT_NE(error_with([&](TensorFile& f) {
              drop(f, "b8.conv0.affine.bias");
            }).find("b8.conv0.affine.bias is missing"),
            std::string::npos);
  EXPECT_NE(error_with([&](TensorFile& f) { drop(f, "synthesis"); }).find("is this the file"),
            std::string::npos);
  EXPECT_NE(error_with([&](TensorFile& f) {
              f.tensors.emplace_back("mapping.w_evg", torch::zeros({16}));
            }).find("mapping.w_avg"),
            std::string::npos);
  const auto reshaped = error_with([&](TensorFile& f) {
    for (auto& [name, tensor] : f.tensors)
      if (name == "synthesis.b16.torgb.weight") tensor = torch::zeros({3, 8, 1, 1});
  });
  EXPECT_NE(reshaped.find("synthesis.b16.torgb.weight has the shape [3, 8, 1, 1]"),
            std::string::npos)
      << reshaped;
  EXPECT_NE(
      error_with([&](TensorFile& f) { f.metadata["conv_clamp"] = "much"; }).find("conv_clamp"),
      std::string::npos);
}

}  // namespace
}  // namespace stylescope::testing_support
