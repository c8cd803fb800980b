// An f that is there already: tried before the stages that cost hours.
#include "io/image_set.hpp"
#include "stages/blackbox/load_black_box.hpp"
#include "stages/classifier/classifier_stage.hpp"
#include "stages/metrics/ranking.hpp"
#include "tests/support/black_box.hpp"
#include "tests/support/shared_run.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using namespace testing_support;

// Images of 8 x 8, grey: those of class 1 are brighter, all but a few.
void write_images(const fs::path& run_dir, int64_t val = 20) {
  fs::create_directories(run_dir / "ingest");
  ImageSetWriter writer(run_dir / artifacts::images, 1, 8, 8, {"dark", "bright"}, "{}");
  for (int64_t i = 0; i < 30 + val; ++i) {
    ImageRecord record;
    record.split = i < 30 ? Split::train : Split::val;
    record.label = i % 2;
    record.subject = "s" + std::to_string(i);
    record.path = record.subject + ".png";
    const int64_t grey = 110 + 30 * (i % 9 == 0 ? 1 - record.label : record.label) + i % 7;
    writer.append(torch::full({1, 8, 8}, grey, torch::kUInt8), record);
  }
  writer.close();
}

ClassifierConfig script_config(const fs::path& run_dir, const std::string& forward) {
  ClassifierConfig config;
  config.black_box.kind = "torchscript";
  config.black_box.file = (run_dir / "mine.pt").string();
  config.black_box.scores = "logits";
  config.batch = 6;
  config.bn_group = 5;  // of training: does not matter here
  if (world().is_root()) save_forward(config.black_box.file, forward);
  world().barrier();
  return config;
}

std::string complaint(const ClassifierConfig& config, const fs::path& run_dir) {
  StopSignal stop;
  try {
    run_stage(run_classifier, config, world(), run_dir, "refused", stop);
  } catch (const Error& error) {
    return error.what();
  }
  return "no Error was thrown";
}

void expect_within(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' does not say '" << part << "'";
}

TEST(BlackBoxTrial, MeasuresAndPublishesTheSameOnAnyNumberOfRanks) {
  SharedRun shared(world(), [](const fs::path& dir) { write_images(dir); });
  const auto config = script_config(shared.path(), kBrightness);
  StopSignal stop;
  const auto together =
      run_stage(run_classifier, config, world(), shared.path(), "classifier", stop);
  EXPECT_EQ(together.at("kind"), "torchscript");
  EXPECT_EQ(together.at("val_images"), 20);
  EXPECT_EQ(together.at("train_images"), 30);
  EXPECT_GT(together.at("val_auc"), 0.7);
  EXPECT_LT(together.at("val_auc"), 1.0);
  world().barrier();
  if (!world().is_root()) return;

  SelfCommunicator self;
  auto alone = run_stage(run_classifier, config, self, shared.path(), "alone", stop);
  for (const auto& [key, value] : together.items())
    if (key != "images_per_second") EXPECT_EQ(value, alone.at(key)) << key;

  fs::remove(config.black_box.file);
  RunContext context{self, torch::kCPU, torch::kFloat32, 5, shared.path(), shared.path(), stop};
  const auto f = load_black_box(context);
  const ImageSet images(shared.path() / artifacts::images);
  const auto rows = images.indices(Split::val);
  std::vector<int64_t> labels;
  for (const auto row : rows) labels.push_back(images.record(row).label);
  EXPECT_DOUBLE_EQ(auc(torch::tensor(labels, torch::kLong), f->scores(images.read(rows))),
                   together.at("val_auc").get<double>());
}

TEST(BlackBoxTrial, ACommandHasAProcessOnEachRank) {
  SharedRun shared(world(), [](const fs::path& dir) { write_images(dir); });
  ClassifierConfig config;
  config.black_box.kind = "command";
  config.black_box.command = {STYLESCOPE_BRIGHTNESS};
  config.black_box.timeout = 30;
  config.batch = 4;
  StopSignal stop;
  const auto metrics =
      run_stage(run_classifier, config, world(), shared.path(), "classifier", stop);
  EXPECT_GT(metrics.at("val_auc"), 0.7);
  EXPECT_GE(metrics.at("val_calibration_error"), 0.0);
}

TEST(BlackBoxTrial, AnFThatSaysNothingStopsTheRun) {
  SharedRun shared(world(), [](const fs::path& dir) { write_images(dir); });
  const auto& dir = shared.path();
  expect_within(
      complaint(script_config(dir, "def forward(self, x):\n    return x.mean([2, 3]) * 0\n"), dir),
      "all 20 validation images the same score, 0.5");
  auto config = script_config(dir, kBrightness);
  config.black_box.class_names = {"no", "yes"};
  expect_within(complaint(config, dir),
                "of which none is called as f's positive classes are (yes)");
  config.black_box.class_names = {"none", "mild", "bright"};
  expect_within(complaint(config, dir), "gives 2 scores an image, but there are 3 classes");
  config = script_config(dir, kBrightness);
  config.black_box.scores = "probabilities";
  expect_within(complaint(config, dir), "which is no probability");
  config.positive = {2};
  expect_within(complaint(config, dir), "classifier.positive names the class 2");
}

TEST(BlackBoxTrial, ImagesOfOneKindAreNotEnough) {
  SharedRun shared(world(), [](const fs::path& dir) { write_images(dir, 1); });
  expect_within(complaint(script_config(shared.path(), kBrightness), shared.path()),
                "has 1 validation images, of which 0 are positive");
}

}  // namespace
}  // namespace stylescope
