// f in a TorchScript file: the same numbers as our own network's, and a sentence for every file
// that is something else.
#include "stages/blackbox/script_box.hpp"

#include "io/base/error.hpp"
#include "io/safetensors.hpp"
#include "tests/support/black_box.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace testing_support;

// Two grey pictures of 4 x 4: all 102, all 204.
torch::Tensor two_greys() {
  return torch::tensor({102, 204}, torch::kUInt8).view({2, 1, 1, 1}).repeat({1, 1, 4, 4});
}

std::unique_ptr<BlackBox> box(const TempDir& dir, const std::string& forward,
                              const std::function<void(BlackBoxDescription&)>& change = {}) {
  auto d = script_description(dir.path(), forward);
  if (change) change(d);
  return make_script_box(d, dir.path(), torch::kCPU);
}

TEST(ScriptBox, GivesProbabilitiesAndTheScoreOfThePositiveClasses) {
  TempDir dir;
  const auto f = box(dir, kBrightness);
  const auto scores = f->scores(two_greys(), 1);
  EXPECT_NEAR(scores[0].item<double>(), 1 / (1 + std::exp(1.6)), 1e-6);
  EXPECT_NEAR(scores[1].item<double>(), 1 / (1 + std::exp(-4.8)), 1e-6);
  EXPECT_EQ(f->about(), "the TorchScript file mine.pt");
  EXPECT_EQ(f->network(), nullptr);
  EXPECT_EQ(f->probabilities(two_greys().slice(0, 0, 0)).sizes(), (std::vector<int64_t>{0, 2}));
}

TEST(ScriptBox, NormalisesResizesAndRepeatsAsTold) {
  TempDir dir;
  const auto f = box(dir, R"(
def forward(self, x):
    assert x.dtype == 6, "float32, please"
    assert x.size(1) == 3 and x.size(2) == 8, "RGB of 8"
    return torch.stack([x[:, 0, 0, 0], x[:, 2, 7, 7]], 1)
)",
                     [](BlackBoxDescription& d) {
                       d.channels = 3;
                       d.resolution = 8;
                       d.mean = {0.5, 0, 0.25};
                       d.stddev = {0.1, 1, 2};
                     });
  const auto p = f->probabilities(two_greys());
  const double first = (0.4 - 0.5) / 0.1, last = (0.4 - 0.25) / 2;
  EXPECT_NEAR(p[0][0].item<double>(), 1 / (1 + std::exp(last - first)), 1e-6);
}

TEST(ScriptBox, IsInEvaluationModeAndInFloat32) {
  TempDir dir;
  torch::jit::Module module("network");
  module.register_attribute("training", c10::BoolType::get(), true);
  module.register_parameter("weight", torch::full({1}, 2, torch::kFloat64), false);
  module.define(R"(
def forward(self, x):
    assert not self.training, "training"
    y = x.mean([1, 2, 3]) * self.weight
    assert y.dtype == 6, "float32, please"
    return torch.stack([-y, y], 1)
)");
  auto d = script_description(dir.path(), kBrightness);
  module.save((dir / d.file).string());
  EXPECT_GT(make_script_box(d, dir.path(), torch::kCPU)->scores(two_greys())[0].item<double>(),
            0.5);
}

TEST(ScriptBox, ASizeThatItDoesNotTakeIsNamedWithTheKeys) {
  TempDir dir;
  const auto f = box(dir, R"(
def forward(self, x):
    assert x.size(2) == 224, "224 x 224 is needed"
    return x.mean([2, 3])
)");
  EXPECT_THAT(
      [&] { f->scores(two_greys()); },
      ThrowsMessage<Error>(AllOf(
          HasSubstr("the TorchScript file mine.pt: fails on images of the shape (2, 1, 4, 4)"),
          HasSubstr("224 x 224 is needed"), HasSubstr("classifier.resolution"),
          HasSubstr("classifier.channels"))));
  EXPECT_THAT([&] { f->scores(two_greys().slice(2, 0, 2)); },
              ThrowsMessage<Error>(HasSubstr("do not fit f")));
}

TEST(ScriptBox, AnotherAnswerThanOneTensorIsRefused) {
  TempDir dir;
  const auto pair = box(dir, "def forward(self, x):\n    return x, x\n");
  EXPECT_THAT([&] { pair->scores(two_greys()); },
              ThrowsMessage<Error>(AllOf(HasSubstr("gives a Tuple, not one tensor"),
                                         HasSubstr("wrap it in a module"))));
  const auto wide = box(dir, "def forward(self, x):\n    return x.flatten(1)\n");
  EXPECT_THAT([&] { wide->scores(two_greys()); },
              ThrowsMessage<Error>(HasSubstr("gives 16 scores an image, but there are 2 classes")));
}

TEST(ScriptBox, OtherFilesAreToldApart) {
  TempDir dir;
  const auto d = script_description(dir.path(), kBrightness);
  const auto says = [&](const char* part) {
    EXPECT_THAT([&] { make_script_box(d, dir.path(), torch::kCPU); },
                ThrowsMessage<Error>(AllOf(HasSubstr("classifier.pt: is no TorchScript network"),
                                           HasSubstr(part), HasSubstr("torch.jit.script"))));
  };
  std::ofstream(dir / d.file) << std::string("\x80\x02}q\0.", 6);
  says("it is a Python pickle");
  // What torch.save(state_dict) writes: an archive with data.pkl and no code.
  const auto pickled = torch::pickle_save(torch::ones({2}));
  std::ofstream(dir / d.file, std::ios::binary)
      .write(pickled.data(), static_cast<std::streamsize>(pickled.size()));
  says("holds weights only");
  TensorFile weights;
  weights.tensors = {{"fc.weight", torch::ones({2})}};
  write_safetensors(dir / d.file, weights);
  says("it is safetensors, which holds weights only");
  std::ofstream(dir / d.file) << "no network";
  says("is no TorchScript network");
  std::filesystem::remove(dir / d.file);
  EXPECT_THAT([&] { make_script_box(d, dir.path(), torch::kCPU); },
              ThrowsMessage<Error>(HasSubstr("classifier.pt: is not there")));
}

}  // namespace
}  // namespace stylescope
