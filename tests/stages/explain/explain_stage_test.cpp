// Explanations of a run's own images and of given ones, on any number of ranks.
#include "stages/explain/explain_stage.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/explanation_set.hpp"
#include "io/picture.hpp"
#include "io/sha256.hpp"
#include "tests/io/dicom_fixture.hpp"
#include "tests/support/black_box.hpp"
#include "tests/support/tiny_run.hpp"
#include "tests/support/world.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing_support::TinyRun;
using testing_support::world;

ExplainConfig tiny_config() {
  ExplainConfig config;
  config.images = 3;  // with 4 ranks one has nothing to do
  config.steps = 7;
  config.targets = {0.3, 0.5, 0.999999};
  config.batch = 4;
  return config;
}

ExplanationSet made_by(TinyRun& run, Communicator& ranks, const ExplainConfig& config,
                       const std::string& out) {
  auto context = run.context(ranks, out);
  run_explain(config, context);
  ranks.barrier();
  return read_explanations(run.path() / out / "explanations.h5");
}

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().nan_to_num(0).max().item<double>();
}

TEST(Explain, TheNumberOfRanksDoesNotChangeTheExplanations) {
  TinyRun run(world());
  auto config = tiny_config();
  config.images = 5;
  config.batch = 5;  // f scores the 16 test images in 4 batches, the last one of a single image
  const auto together = made_by(run, world(), config, "together");
  if (!world().is_root()) return;
  SelfCommunicator self;
  const auto alone = made_by(run, self, config, "alone");
  EXPECT_TRUE(torch::equal(together.index, alone.index));
  EXPECT_EQ(together.name, alone.name);
  EXPECT_TRUE(torch::equal(together.strip, alone.strip));
  EXPECT_TRUE(torch::equal(together.targets, alone.targets));
  EXPECT_TRUE(torch::equal(together.target_lambda.isnan(), alone.target_lambda.isnan()));
  for (const auto part : {&ExplanationSet::w, &ExplanationSet::lambda, &ExplanationSet::f_original,
                          &ExplanationSet::f_strip, &ExplanationSet::surrogate_strip,
                          &ExplanationSet::target_lambda, &ExplanationSet::f_targets})
    EXPECT_LE(distance(together.*part, alone.*part), 1e-8);
  EXPECT_LE(distance(together.heat_map, alone.heat_map), 1e-6);
}

TEST(Explain, EveryPartIsWhatItsNameSays) {
  TinyRun run(world());
  const auto set = made_by(run, world(), tiny_config(), "made");
  if (!world().is_root()) return;
  SelfCommunicator self;
  auto context = run.context(self, "made");
  auto networks = load_trained_networks(context);
  const ImageSet images(run.path() / artifacts::images);
  ASSERT_EQ(set.size(), 3);
  EXPECT_EQ(set.lambda[3].item<double>(), 0);
  EXPECT_NEAR(set.lambda[6].item<double>(), networks.direction.lambda_of_sd(3), 1e-12);
  for (int64_t i = 0; i < set.size(); ++i) {
    const auto row = set.index[i].item<int64_t>();
    EXPECT_EQ(images.record(row).split, Split::test);
    EXPECT_EQ(images.record(row).label, set.label[i].item<int64_t>());
    EXPECT_EQ(images.record(row).subject, set.subject[static_cast<size_t>(i)]);
    EXPECT_TRUE(torch::equal(images.read({row})[0], set.original[i]));
    const auto w = networks.encoder.encode(set.original[i].unsqueeze(0));
    EXPECT_LE(distance(w[0], set.w[i]), 1e-9);
    EXPECT_TRUE(torch::equal(set.strip[i][3], set.reconstruction[i]));
    // G(w + lambda alpha) by another way: each lambda by itself.
    const auto moved = set.w[i] + set.lambda[5] * networks.direction.alpha;
    const auto picture = pictures_of(networks.generator, moved.unsqueeze(0));
    EXPECT_LE(
        (picture[0].to(torch::kInt) - set.strip[i][5].to(torch::kInt)).abs().max().item<int64_t>(),
        1);
    EXPECT_LE(distance(networks.f->scores(set.strip[i]), set.f_strip[i]), 1e-8);
    EXPECT_NEAR(networks.f->scores(set.original[i].unsqueeze(0))[0].item<double>(),
                set.f_original[i].item<double>(), 1e-8);
    EXPECT_NEAR(torch::sigmoid(networks.direction.alpha.dot(moved) + networks.direction.beta)
                    .item<double>(),
                set.surrogate_strip[i][5].item<double>(), 1e-9);
    const auto difference =
        (set.strip[i][6].to(torch::kFloat32) - set.strip[i][0].to(torch::kFloat32)).abs().mean(0);
    EXPECT_LE(distance(difference, set.difference[i]), 1e-4);
  }
  EXPECT_GE(set.heat_map.min().item<double>(), 0);
  EXPECT_LE(set.heat_map.max().item<double>(), 1);
  EXPECT_GT(set.difference.max().item<double>(), 0);
}

TEST(Explain, TargetsAreReachedByFItselfOrNaN) {
  TinyRun run(world());
  const auto set = made_by(run, world(), tiny_config(), "made");
  if (!world().is_root()) return;
  SelfCommunicator self;
  auto context = run.context(self, "made");
  auto networks = load_trained_networks(context);
  int64_t reached = 0;
  for (int64_t i = 0; i < set.size(); ++i) {
    EXPECT_TRUE(std::isnan(set.target_lambda[i][2].item<double>())) << "f never says 0.999999 here";
    EXPECT_EQ(set.targets[i][2].max().item<int64_t>(), 0);
    for (int64_t p = 0; p < 2; ++p) {
      const double lambda = set.target_lambda[i][p].item<double>();
      const double target = set.target_probability[p].item<double>();
      const bool within = set.f_strip[i].min().item<double>() <= target &&
                          set.f_strip[i].max().item<double>() >= target;
      EXPECT_EQ(std::isfinite(lambda), within);
      if (!std::isfinite(lambda)) continue;
      ++reached;
      EXPECT_NEAR(networks.f->scores(set.targets[i][p].unsqueeze(0))[0].item<double>(),
                  set.f_targets[i][p].item<double>(), 1e-8);
      // f is scored on 8-bit pictures, so it moves in small jumps.
      EXPECT_NEAR(set.f_targets[i][p].item<double>(), target, 0.02);
    }
  }
  EXPECT_GT(reached, 0) << "the fixture's direction moves f: some target must be within reach";
}

// An f that cannot be looked into: the same on any number of ranks, and occlusion maps for GradCAM.
TEST(Explain, ABlackBoxGetsOcclusionMaps) {
  TinyRun run(world());
  if (world().is_root()) {
    const auto folder = run.path() / "classifier";
    auto d = testing_support::script_description(folder, testing_support::kBrightness);
    d.class_names = {"wide", "narrow"};
    d.run_resolution = 16;
    d.resolution = 20;
    d.run_channels = d.channels = 1;
    d.files = {{d.file, sha256_of_file(folder / d.file)}};
    publish_text(run.path() / artifacts::black_box, to_json(d).dump());
  }
  world().barrier();
  auto config = tiny_config();
  config.occlusion = 4;
  const auto together = made_by(run, world(), config, "together");
  EXPECT_EQ(together.heat_map_kind, "occlusion");
  EXPECT_GT(together.heat_map.max().item<double>(), 0);
  EXPECT_LE(together.heat_map.max().item<double>(), 1);
  if (!world().is_root()) return;
  SelfCommunicator self;
  const auto alone = made_by(run, self, config, "alone");
  EXPECT_TRUE(together.heat_map.equal(alone.heat_map));
  EXPECT_TRUE(together.f_strip.equal(alone.f_strip));
}

TEST(Explain, WritesAStripForEachImageAndAGrid) {
  TinyRun run(world());
  made_by(run, world(), tiny_config(), "made");
  if (!world().is_root()) return;
  const auto strip = read_picture(run.path() / "made" / "strip-002.png", 1);
  EXPECT_EQ(strip.size(1), 96);      // 16 pixels enlarged 6 times
  EXPECT_EQ(strip.size(2), 96 * 9);  // original, reconstruction and 7 steps
  EXPECT_EQ(read_picture(run.path() / "made" / "strips.png", 1).size(1), 96 * 3);
}

TEST(Explain, IndicesChooseTheImages) {
  TinyRun run(world());
  auto config = tiny_config();
  config.indices = {9, 4};
  const auto set = made_by(run, world(), config, "made");
  EXPECT_TRUE(torch::equal(set.index, torch::tensor({9, 4}, torch::kLong)));
  config.indices = {48};
  auto context = run.context(world(), "out");
  EXPECT_THROW(run_explain(config, context), UsageError);
  config = tiny_config();
  config.steps = 8;
  EXPECT_THROW(run_explain(config, context), UsageError);
}

TEST(Explain, NetworksOfAnotherRunAreNamed) {
  TinyRun run(world());
  if (world().is_root()) {
    auto direction = load_direction(run.path() / artifacts::direction);
    direction.alpha = torch::ones({8}, torch::kFloat64);
    direction.unit = direction.alpha / direction.alpha.norm();
    save_direction(run.path() / artifacts::direction, direction);
  }
  world().barrier();
  auto context = run.context(world(), "out");
  try {
    run_explain(tiny_config(), context);
    FAIL() << "no Error was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(artifacts::direction), std::string::npos)
        << error.what();
  }
}

TEST(ExplainImages, GivenPicturesAreExplainedAndBadOnesNamed) {
  TinyRun run(world());
  const auto good = run.path() / "knee <1>.png", large = run.path() / "large.png",
             bad = run.path() / "broken.png", film = run.path() / "IM0001";
  if (world().is_root()) {
    const ImageSet images(run.path() / artifacts::images);
    const auto knee = images.read({22})[0].to(torch::kInt32).flatten();
    testing_support::DicomFile()
        .grey(16, 16, {knee.data_ptr<int>(), knee.data_ptr<int>() + knee.numel()})
        .window("128", "256")
        .text(0x00100010, gdcm::VR::PN, "MARKNAME^JOHN")
        .write(film);
    write_png(good, images.read({20})[0]);
    write_png(large, images.read({21})[0]
                         .repeat_interleave(4, 1)
                         .repeat_interleave(4, 2)
                         .expand({3, 64, 64})
                         .contiguous());
    publish_text(bad, "no picture");
  }
  world().barrier();
  auto context = run.context(world(), "unused");
  const auto out = run.path() / "given";
  const auto result = explain_images(
      tiny_config(), context,
      {given_picture(good), given_picture(bad), given_picture(large), given_picture(film)}, out);
  ASSERT_EQ(result.at("images").size(), 3U);
  ASSERT_EQ(result.at("left_out").size(), 1U);
  EXPECT_EQ(result["left_out"][0]["image"], bad.string());
  world().barrier();
  const auto set = read_explanations(out / "explanations.h5");
  EXPECT_EQ(set.index[0].item<int64_t>(), -1);
  EXPECT_EQ(set.name[1], "large.png");
  // 64x64 averaged down over 4x4 equal pixels is the 16x16 picture again.
  EXPECT_TRUE(
      torch::equal(set.original[1], ImageSet(run.path() / artifacts::images).read({21})[0]));
  EXPECT_TRUE(
      torch::equal(set.original[2], ImageSet(run.path() / artifacts::images).read({22})[0]));
  const auto page = read_text(out / "index.html");
  EXPECT_EQ(page.find("MARKNAME"), std::string::npos);
  EXPECT_NE(page.find("knee &lt;1&gt;.png"), std::string::npos);
  EXPECT_NE(page.find("broken.png"), std::string::npos);
  EXPECT_TRUE(fs::exists(out / "strip-001.png"));

  try {
    explain_images(tiny_config(), context, {given_picture(bad)}, run.path() / "none");
    FAIL() << "no Error was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("broken.png"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace stylescope
