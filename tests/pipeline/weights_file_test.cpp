// import and export: weights come back bit by bit, and what does not fit is named.
#include "pipeline/weights_file.hpp"

#include "distributed/communicator.hpp"
#include "io/base/error.hpp"
#include "stages/artifacts.hpp"
#include "stages/networks/discriminator.hpp"
#include "stages/networks/weight_names.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_run.hpp"

#include <fstream>
#include <functional>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

namespace stylescope {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing_support::TempDir;
using testing_support::TinyRun;

void expect_same_tensors(const TensorFile& a, const TensorFile& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    EXPECT_EQ(a.tensors[i].first, b.tensors[i].first);
    EXPECT_EQ(a.tensors[i].second.scalar_type(), b.tensors[i].second.scalar_type());
    EXPECT_TRUE(a.tensors[i].second.equal(b.tensors[i].second)) << a.tensors[i].first;
  }
}

std::string failure(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

class Weights : public testing::Test {
 protected:
  static void SetUpTestSuite() { run_ = std::make_unique<TinyRun>(self_); }
  static void TearDownTestSuite() { run_.reset(); }
  static std::filesystem::path artifact(const char* name) { return run_->path() / name; }
  std::filesystem::path out(const std::string& name) const { return dir_ / name; }
  // The file with a change, under another name.
  std::filesystem::path changed(const std::filesystem::path& from,
                                const std::function<void(TensorFile&)>& change) const {
    auto content = read_safetensors(from);
    change(content);
    const auto to = dir_ / "changed.safetensors";
    write_safetensors(to, content);
    return to;
  }

  static inline SelfCommunicator self_;
  static inline std::unique_ptr<TinyRun> run_;
  TempDir dir_;
};

void erase(TensorFile& content, const std::string& name) {
  std::erase_if(content.tensors, [&](const auto& item) { return item.first == name; });
}

TEST_F(Weights, ExportedAndImportedTheyAreTheSameBits) {
  for (const auto& [what, file] : {std::pair{"generator", artifacts::generator},
                                   {"classifier", artifacts::classifier},
                                   {"encoder", artifacts::encoder}}) {
    const auto exported = out(std::string(what) + ".safetensors"),
               imported = out(std::string(what) + "-back.safetensors");
    export_network(artifact(file), exported, what, "safetensors");
    EXPECT_THAT(import_weights(exported, imported, {}), HasSubstr(what));
    const auto before = read_safetensors(artifact(file)), after = read_safetensors(imported);
    expect_same_tensors(before, after);
    EXPECT_EQ(before.metadata, after.metadata) << what;
  }
}

TEST_F(Weights, ADiscriminatorComesBackToo) {
  DiscriminatorOptions options;
  options.resolution = 16;
  options.image_channels = 1;
  options.channel_base = 128;
  options.channel_max = 8;
  options.mbstd_group = 2;
  options.clamp = 256;
  options.c_dim = 2;
  Discriminator d(options);
  initialize(d, 4);
  save_discriminator(out("d.safetensors").string(), d);
  export_network(out("d.safetensors"), out("e.safetensors"), "discriminator", "safetensors");
  EXPECT_EQ(import_weights(out("e.safetensors"), out("f.safetensors"), {}),
            "conditional discriminator of 16x16x1");
  const auto before = read_safetensors(out("d.safetensors")),
             after = read_safetensors(out("f.safetensors"));
  expect_same_tensors(before, after);
  EXPECT_EQ(before.metadata, after.metadata);
}

TEST_F(Weights, AnExportedEncoderHasTorchvisionsTensorsAloneAndIsStillOne) {
  const auto file = out("e.safetensors");
  export_network(artifact(artifacts::encoder), file, "", "safetensors");
  auto content = read_safetensors(file);
  EXPECT_FALSE(content.contains("w_mean"));
  EXPECT_FALSE(content.contains("w_scale"));
  auto ours = load_encoder(artifact(artifacts::encoder).string(), torch::kCPU, torch::kFloat32);
  auto theirs = load_encoder(file.string(), torch::kCPU, torch::kFloat32);
  EXPECT_TRUE(theirs.w_mean.equal(ours.w_mean));
  EXPECT_TRUE(theirs.w_scale.equal(ours.w_scale));
}

TEST_F(Weights, TorchvisionsNamesBecomeFirstWeightsOrAClassifier) {
  // What torchvision would have written: tensors, and no word about them.
  const auto plain = changed(artifact(artifacts::classifier), [](TensorFile& content) {
    content.metadata.clear();
    for (auto& [name, tensor] : content.tensors)
      if (name == "fc.weight") tensor = tensor.repeat({2, 1});
    for (auto& [name, tensor] : content.tensors)
      if (name == "fc.bias") tensor = tensor.repeat({2});
  });
  EXPECT_THAT(import_weights(plain, out("init.safetensors"), {}),
              HasSubstr("(ResNet18, small stem, 1 channel, 4 outputs)"));
  ResNet network(ResNetOptions{18, "small", 1, 7, 4});
  load_resnet_weights(network, out("init.safetensors").string(), /*head=*/false);

  ImportOptions options;
  options.kind = "classifier";
  const auto attempt = [&] { import_weights(plain, out("f.safetensors"), options); };
  EXPECT_THAT(failure(attempt), HasSubstr("give --class-names a,b"));
  options.class_names = {"a", "b", "c", "d"};
  EXPECT_THAT(failure(attempt), AllOf(HasSubstr("give --mean"), HasSubstr("0.485")));
  options.mean = {0.5};
  options.stddev = {0.25};
  EXPECT_THAT(failure(attempt), HasSubstr("give --resolution"));
  options.resolution = 16;
  attempt();
  const auto f = load_classifier(out("f.safetensors").string(), torch::kCPU, torch::kFloat32);
  EXPECT_EQ(f.class_names, options.class_names);
  EXPECT_EQ(f.positive, (std::vector<int64_t>{1, 2, 3}));
  options.class_names.pop_back();
  EXPECT_THAT(failure(attempt), HasSubstr("3 class names for 4 outputs"));
}

TEST_F(Weights, WhatDoesNotFitIsNamed) {
  const auto says = [&](const char* file, const std::function<void(TensorFile&)>& change) {
    const auto from = changed(artifact(file), change);
    return failure([&] { import_weights(from, out("x.safetensors"), {}); });
  };
  const auto drop = [](const char* name) { return [=](TensorFile& c) { erase(c, name); }; };
  const auto add = [](const char* name) {
    return [=](TensorFile& c) { c.tensors.emplace_back(name, torch::zeros({1})); };
  };
  const auto cut = [](const char* name) {
    return [=](TensorFile& c) {
      for (auto& [key, tensor] : c.tensors)
        if (key == name) tensor = tensor.narrow(0, 0, 1).clone();
    };
  };
  EXPECT_THAT(says(artifacts::classifier, drop("layer2.1.bn1.bias")),
              HasSubstr("lacks layer2.1.bn1.bias"));
  EXPECT_THAT(says(artifacts::classifier, add("layer2.1.conv9.weight")),
              HasSubstr("holds layer2.1.conv9.weight"));
  EXPECT_THAT(says(artifacts::classifier, cut("layer4.0.conv1.weight")),
              AllOf(HasSubstr("layer4.0.conv1.weight has the shape"), HasSubstr("asks for")));
  EXPECT_THAT(says(artifacts::generator, drop("synthesis.b8.conv0.noise_const")),
              HasSubstr("synthesis.b8.conv0.noise_const is missing"));
  EXPECT_THAT(says(artifacts::generator, add("synthesis.b8.conv7.weight")),
              HasSubstr("synthesis.b8.conv7.weight is unknown"));
  EXPECT_THAT(says(artifacts::generator, cut("mapping.fc1.weight")),
              HasSubstr("mapping.fc1.weight has the shape"));
  EXPECT_FALSE(std::filesystem::exists(out("x.safetensors")));
}

// Sizes are compared before a network of them is made.
TEST_F(Weights, AGiantNetworkIsNotMade) {
  const auto says = [&](const char* file, const std::function<void(TensorFile&)>& change) {
    const auto from = changed(artifact(file), change);
    return failure([&] { import_weights(from, out("x.safetensors"), {}); });
  };
  const auto becomes = [](const char* name, std::vector<int64_t> shape) {
    return [=](TensorFile& c) {
      for (auto& [key, tensor] : c.tensors)
        if (key == name) tensor = torch::zeros(shape);
    };
  };
  EXPECT_THAT(says(artifacts::classifier, becomes("conv1.weight", {1'000'000'000, 0, 3, 3})),
              HasSubstr("conv1.weight has the shape [1000000000, 0, 3, 3] and holds nothing"));
  EXPECT_THAT(
      says(artifacts::classifier, [](TensorFile& c) { c.metadata["width"] = "1000000000"; }),
      HasSubstr("is of a network of at least"));
  EXPECT_THAT(says(artifacts::generator, becomes("synthesis.b4.conv1.weight", {100'000, 1, 1, 1})),
              HasSubstr("is of a network of at least"));
}

TEST_F(Weights, OptionsOfAnotherKindAreRefused) {
  ImportOptions options;
  options.clamp = 256;
  const auto says = [&](const char* file) {
    return failure([&] { import_weights(artifact(file), out("x.safetensors"), options); });
  };
  EXPECT_THAT(says(artifacts::classifier),
              HasSubstr("--clamp: is of a generator or discriminator"));
  options = {};
  options.class_names = {"a", "b"};
  EXPECT_THAT(says(artifacts::encoder),
              HasSubstr("--class-names: is of a classifier, and this is an encoder"));
  options = {};
  options.mbstd_group = 4;
  EXPECT_THAT(says(artifacts::generator), HasSubstr("--mbstd-group: is of a discriminator"));
  EXPECT_FALSE(std::filesystem::exists(out("x.safetensors")));
}

TEST_F(Weights, OtherFilesAreToldApart) {
  const auto says = [&](const std::filesystem::path& from, const ImportOptions& options = {}) {
    return failure([&] { import_weights(from, out("x.safetensors"), options); });
  };
  const auto other = changed(artifact(artifacts::classifier), [](TensorFile& content) {
    content.metadata.clear();
    for (auto& [name, tensor] : content.tensors) name = "encoder." + name;
  });
  EXPECT_THAT(says(other), HasSubstr("neither a ResNet under torchvision's names nor"));
  EXPECT_THAT(says(artifact(artifacts::direction)), HasSubstr("neither a ResNet"));
  ImportOptions generator;
  generator.kind = "generator";
  EXPECT_THAT(says(artifact(artifacts::classifier), generator), HasSubstr("synthesis.b8.conv1"));
  std::ofstream(out("g.pkl"), std::ios::binary) << "\x80\x03"
                                                << "cdnnlib.tnt";
  EXPECT_THAT(says(out("g.pkl")), HasSubstr("tools/stylegan2_pkl_to_safetensors.py"));
  std::ofstream(out("a.safetensors")) << "text";
  EXPECT_THAT(says(out("a.safetensors")), HasSubstr("is no safetensors file"));
  const auto deep = changed(artifact(artifacts::classifier), [](TensorFile& content) {
    content.metadata.clear();
    content.tensors.emplace_back("layer1.0.conv3.weight", torch::zeros({1}));
    for (int i = 2; i < 23; ++i)
      content.tensors.emplace_back("layer3." + std::to_string(i) + ".conv1.weight",
                                   torch::zeros({1}));
  });
  EXPECT_THAT(says(deep), HasSubstr("is a ResNet of 101 layers"));
}

TEST_F(Weights, TorchScriptOfARunGivesItsScores) {
  const auto bytes = [&] {
    const ImageSet images(artifact(artifacts::images));
    return images.read({0, 1, 2});
  }();
  EXPECT_THAT(export_network(artifact(artifacts::classifier), out("f.pt"), "", "torchscript"),
              HasSubstr("classifier (ResNet18"));
  auto f = load_classifier(artifact(artifacts::classifier).string(), torch::kCPU, torch::kFloat32);
  auto script = torch::jit::load(out("f.pt").string());
  const auto scores = script.forward({bytes}).toTensor();
  EXPECT_EQ(scores.sizes(), (std::vector<int64_t>{3, 2}));
  EXPECT_LT((scores - f.probabilities(bytes)).abs().max().item<double>(), 1e-5);
  export_network(artifact(artifacts::encoder), out("e.pt"), "encoder", "torchscript");
  export_network(artifact(artifacts::generator), out("g.pt"), "generator", "torchscript");
  auto g = torch::jit::load(out("g.pt").string()), e = torch::jit::load(out("e.pt").string());
  const auto images = g.forward({torch::zeros({2, 16})}).toTensor();
  EXPECT_EQ(e.forward({images}).toTensor().sizes(), (std::vector<int64_t>{2, 16}));
}

TEST_F(Weights, WhatCannotBeExportedSaysWhy) {
  const auto says = [&](const std::filesystem::path& from, const char* what) {
    return failure([&] { export_network(from, out("x"), what, "torchscript"); });
  };
  EXPECT_THAT(says(artifact(artifacts::classifier), "generator"),
              HasSubstr("holds a classifier, not a generator"));
  import_weights(changed(artifact(artifacts::classifier),
                         [](TensorFile& content) { content.metadata.clear(); }),
                 out("init.safetensors"), {});
  EXPECT_THAT(says(out("init.safetensors"), ""), HasSubstr("import it as a classifier first"));
}

}  // namespace
}  // namespace stylescope
