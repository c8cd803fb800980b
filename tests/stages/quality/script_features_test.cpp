#include "stages/quality/script_features.hpp"

#include "io/base/error.hpp"
#include "io/sha256.hpp"
#include "tests/stages/quality/script_networks.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;
using testing_support::save_script;
using testing_support::TempDir;

std::unique_ptr<FeatureNetwork> load(const std::string& file, const std::string& input = "uint8",
                                     const std::string& kind = "script") {
  MetricsConfig config;
  config.features = kind;
  config.feature_file = file;
  config.feature_input = input;
  return make_script_features(config, torch::kCPU);
}

// Two grey pictures of 4 x 4: all 51, all 102.
torch::Tensor two_greys() {
  return torch::tensor({51, 102}, torch::kUInt8).view({2, 1, 1, 1}).expand({2, 1, 4, 4});
}

constexpr const char* kMeans = R"(
def forward(self, x):
    return x.double().mean([2, 3])
)";

TEST(ScriptFeatures, GreyIsRepeatedAndBytesStayBytes) {
  TempDir dir;
  const auto network = load(save_script(dir / "means.pt", kMeans));
  EXPECT_EQ(network->name(), "means.pt");
  EXPECT_EQ(network->sha256(), sha256_of_file(dir / "means.pt"));
  EXPECT_FALSE(network->is_inception());
  const auto expected = torch::tensor({{51.0, 51.0, 51.0}, {102.0, 102.0, 102.0}}, torch::kDouble);
  EXPECT_TRUE(network->features(two_greys()).equal(expected));
  const auto typed = load(save_script(dir / "typed.pt", R"(
def forward(self, x):
    assert x.dtype == 0, "bytes, please"
    return x.float().mean([2, 3])
)"));
  EXPECT_EQ(typed->features(two_greys()).sizes(), (std::vector<int64_t>{2, 3}));
}

TEST(ScriptFeatures, ScalesAsToldTo) {
  TempDir dir;
  const auto file = save_script(dir / "means.pt", kMeans);
  const auto first = [&](const char* input) { return load(file, input)->features(two_greys())[0]; };
  const auto near = [](const torch::Tensor& found, const std::vector<double>& expected) {
    EXPECT_LE((found - torch::tensor(expected, torch::kDouble)).abs().max().item<double>(), 1e-6);
  };
  near(first("unit"), {0.2, 0.2, 0.2});
  near(first("symmetric"), {-0.6, -0.6, -0.6});
  near(first("imagenet"), {(0.2 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0.2 - 0.406) / 0.225});
}

TEST(ScriptFeatures, AsksInceptionForFeatures) {
  TempDir dir;
  const auto network =
      load(save_script(dir / "inception.pt", testing_support::kInception), "uint8", "inception");
  EXPECT_TRUE(network->is_inception());
  EXPECT_EQ(network->name(), "inception");
  EXPECT_EQ(network->features(two_greys()).size(1), 2048);
}

TEST(ScriptFeatures, CallsNothingElseInception) {
  TempDir dir;
  const auto refuses = [&](const std::string& file) {
    EXPECT_THAT([&] { load(file, "uint8", "inception")->features(two_greys()); },
                ThrowsMessage<Error>(AllOf(HasSubstr(file + ": is not the published Inception"),
                                           HasSubstr("--features"))));
    load(file)->features(two_greys());
  };
  refuses(save_script(dir / "means.pt", kMeans));
  refuses(save_script(dir / "few.pt", R"(
def forward(self, img, return_features: bool = False):
    return img.float().mean([2, 3])
)"));
}

TEST(ScriptFeatures, SquaredDistances) {
  TempDir dir;
  const auto a = torch::rand({3, 1, 4, 4}, torch::kDouble) * 255, b = a + 1;
  const auto plain = load(save_script(dir / "quarters.pt", testing_support::kQuarters));
  const auto unit = [&](const torch::Tensor& x) {
    const auto f = plain->features(x);
    return f / f.norm(2, 1, true);
  };
  EXPECT_LE((plain->squared_distances(a, b) - (unit(a) - unit(b)).square().sum(1))
                .abs()
                .max()
                .item<double>(),
            1e-15);
  EXPECT_THAT(plain->distance_name(), HasSubstr("unit-length quarters.pt"));

  const auto lpips = load(save_script(dir / "vgg.pt", R"(
def forward(self, x, resize_images: bool = True, return_lpips: bool = False):
    assert return_lpips and not resize_images
    return x.double().flatten(1)
)"));
  // 3 channels of 16 pixels that differ by 1.
  EXPECT_LE((lpips->squared_distances(a, b) - 48).abs().max().item<double>(), 1e-9);
  EXPECT_EQ(lpips->distance_name(), "LPIPS of vgg.pt");
}

TEST(ScriptFeatures, NamesTheFileAndWhatIsWrong) {
  TempDir dir;
  const auto complains = [&](const char* name, const char* forward, const char* about) {
    const auto file = save_script(dir / name, forward);
    EXPECT_THAT(
        [&] { load(file)->features(two_greys()); },
        ThrowsMessage<Error>(AllOf(HasSubstr(file + ": "), HasSubstr(about), HasSubstr("; "))))
        << name;
  };
  complains("flat.pt", "def forward(self, x):\n    return x.float().mean()\n", "of the shape []");
  complains("nan.pt", "def forward(self, x):\n    return x.float().mean([2, 3]) / 0 * 0\n",
            "no finite numbers");
  complains("rows.pt", "def forward(self, x):\n    return torch.zeros([7, 3])\n", "for 2 images");
  complains("bytes.pt", "def forward(self, x):\n    return x.flatten(1)\n", "floating point");
  complains("pair.pt", "def forward(self, x):\n    return (x, x)\n", "not one tensor");
  complains("fails.pt", "def forward(self, x):\n    return x.float().view([-1, 7])\n",
            "fails on images of the shape (2, 3, 4, 4)");

  const auto varies = load(save_script(
      dir / "varies.pt", "def forward(self, x):\n    return x.float().mean([1]).flatten(1)\n"));
  varies->features(two_greys());
  EXPECT_THAT([&] { varies->features(two_greys().slice(3, 0, 2)); },
              ThrowsMessage<Error>(HasSubstr("gave 16 for others")));

  std::ofstream(dir / "text.pt") << "no network";
  EXPECT_THAT([&] { load((dir / "text.pt").string()); },
              ThrowsMessage<Error>(HasSubstr("text.pt: is no TorchScript network")));
}

TEST(MetricsConfig, NamesWhatDoesNotFit) {
  TempDir dir;
  std::ofstream(dir / "f.pt") << "-";
  const auto complains = [&](auto change, const char* about) {
    MetricsConfig config;
    change(config);
    EXPECT_THAT(
        [&] {
          config.check("gan.metrics.", {"fd", "kid", "pr"});
        },
        ThrowsMessage<UsageError>(HasSubstr(about)));
  };
  complains([](MetricsConfig& c) { c.figures = {}; }, "gan.metrics.figures is empty");
  complains([](MetricsConfig& c) { c.figures = {"fd", "fid"}; }, "'fid' is none of fd, kid, pr");
  complains([](MetricsConfig& c) { c.features = "script"; }, "names no TorchScript file");
  complains([](MetricsConfig& c) { c.feature_file = "f.pt"; }, "features says classifier");
  complains(
      [&](MetricsConfig& c) {
        c.features = "inception";
        c.feature_file = (dir / "f.pt").string();
        c.feature_input = "unit";
      },
      "takes bytes");
  complains(
      [](MetricsConfig& c) {
        c.features = "script";
        c.feature_file = "none.pt";
      },
      "none.pt: is not there");
  MetricsConfig().check("gan.metrics.", {"fd", "kid", "pr"});
}

}  // namespace
}  // namespace stylescope
