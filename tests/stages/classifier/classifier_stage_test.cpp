// The classifier stage from images.h5 to classifier.safetensors: the number of ranks does not
// change the result, a stopped run goes on to the same bits, and it learns.
#include "stages/classifier/classifier_stage.hpp"

#include "distributed/random.hpp"
#include "io/image_set.hpp"
#include "stages/classifier/classifier_data.hpp"
#include "stages/metrics/ranking.hpp"
#include "stages/networks/classifier.hpp"
#include "tests/support/shared_run.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using namespace testing_support;

// Noise, and for class k a bright bar at the k-th place.
torch::Tensor picture(int64_t i, int64_t label) {
  auto pixels = keyed_uniform({7, "test.images", 0}, {i}, {1, 16, 16}, torch::kFloat64)[0] * 160;
  pixels.slice(1, 2 + 4 * label, 5 + 4 * label).add_(70);
  return pixels.to(torch::kUInt8);
}

struct Images {
  std::vector<std::string> classes{"none", "mild", "severe"};
  int64_t train = 48, val = 18, test = 6;
  std::function<int64_t(int64_t, Split)> label = [](int64_t i, Split) { return i % 3; };
  int64_t test_pictures_from = 0;  // other test pictures, for another number

  void write(const fs::path& run_dir) const {
    fs::create_directories(run_dir / "ingest");
    ImageSetWriter writer(run_dir / artifacts::images, 1, 16, 16, classes, "{}");
    for (int64_t i = 0; i < train + val + test; ++i) {
      ImageRecord record;
      record.split = i < train ? Split::train : i < train + val ? Split::val : Split::test;
      record.label = label(i, record.split);
      record.subject = "s" + std::to_string(i);
      record.path = record.subject + ".png";
      writer.append(picture(record.split == Split::test ? i + test_pictures_from : i, record.label),
                    record);
    }
    writer.close();
  }
};

ClassifierConfig tiny(int64_t steps) {
  ClassifierConfig config;
  config.depth = 18;
  config.stem = "small";
  config.width = 4;
  config.steps = steps;
  config.batch = 12;
  config.bn_group = 4;
  config.learning_rate = 3e-3;
  config.patience = 0;
  config.log_every = 1;
  config.checkpoint.minutes = 0;
  return config;
}

nlohmann::json run(const ClassifierConfig& config, Communicator& ranks, const fs::path& run_dir,
                   const std::string& out) {
  StopSignal stop;
  return run_stage(run_classifier, config, ranks, run_dir, out, stop);
}

// The sentence with which the stage refuses these images and this configuration, on every rank.
std::string complaint(const Images& images, const ClassifierConfig& config) {
  SharedRun shared(world(), [&](const fs::path& dir) { images.write(dir); });
  try {
    run(config, world(), shared.path(), "out");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void expect_within(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' does not say '" << part << "'";
}

TEST(ClassifierStage, NumberOfRanksDoesNotChangeTheResult) {
  SharedRun shared(world(), [](const fs::path& dir) { Images().write(dir); });
  auto config = tiny(20);
  config.class_weights = "list";
  config.class_weight_list = {0.5, 1, 3};
  config.positive = {2};
  config.augment = {true, false, 0.1, 0.1, 0.1};
  expect_same_on_one_rank(run_classifier, config, world(), shared.path(), "classifier.safetensors");
  expect_same_first_loss_in_float32(run_classifier, config, world(), shared.path());
}

// 5 groups, and epochs (50 images) and validations (17) that no batch of 20 divides: no share of 2,
// 3 or 4 ranks is like another's.
TEST(ClassifierStage, UnevenSharesDoNotChangeTheResult) {
  Images images;
  images.train = 50;
  images.val = 17;
  SharedRun shared(world(), [&](const fs::path& dir) { images.write(dir); });
  auto config = tiny(20);
  config.batch = 20;
  expect_same_on_one_rank(run_classifier, config, world(), shared.path(), "classifier.safetensors");
}

TEST(ClassifierStage, GoesOnWithAnotherNumberOfRanks) {
  if (world().size() == 1) GTEST_SKIP() << "takes two ranks";
  SharedRun shared(world(), [](const fs::path& dir) { Images().write(dir); });
  expect_elastic(run_classifier, tiny(20), world(), shared.path(), "classifier.safetensors");
}

TEST(ClassifierStage, ResumesToTheSameBits) {
  SharedRun shared(world(), [](const fs::path& dir) { Images().write(dir); });
  auto config = tiny(10);
  config.log_every = 3;  // meters are stopped half full
  config.augment.flip_horizontal = true;
  expect_exact_resume(run_classifier, config, world(), shared.path(), "classifier.safetensors", 7);
}

TEST(ClassifierStage, SgdResumesToTheSameBits) {
  SharedRun shared(world(), [](const fs::path& dir) { Images().write(dir); });
  auto config = tiny(5);
  config.optimizer = "sgd";
  config.schedule = "cosine";
  config.learning_rate = 0.05;
  config.weight_decay = 1e-4;
  expect_exact_resume(run_classifier, config, world(), shared.path(), "classifier.safetensors", 3);
}

TEST(ClassifierStage, LearnsStopsEarlyAndPublishesItsBestWeights) {
  Images images;
  images.train = 96;
  SharedRun shared(world(), [&](const fs::path& dir) { images.write(dir); });
  auto config = tiny(240);
  config.schedule = "constant";
  config.patience = 3;
  const auto metrics = run(config, world(), shared.path(), "out");
  EXPECT_GT(metrics.at("val_auc").get<double>(), 0.95);
  EXPECT_LT(metrics.at("steps").get<int64_t>(), 240);
  EXPECT_EQ(metrics.at("steps").get<int64_t>(), metrics.at("epochs").get<int64_t>() * 8);
  if (!world().is_root()) return;

  const auto file = shared.path() / "out" / "classifier.safetensors";
  auto f = load_classifier(file.string(), torch::kCPU, torch::kFloat64);
  EXPECT_EQ(f.class_names, images.classes);
  EXPECT_EQ(f.positive, (std::vector<int64_t>{1, 2}));
  const ImageSet set(shared.path() / artifacts::images);
  const auto val = labelled_rows(set, Split::val);
  const double published = auc(pooled_labels(val.labels, f.positive), f.scores(set.read(val.rows)));
  EXPECT_DOUBLE_EQ(published, metrics.at("val_auc").get<double>());

  double best = 0;
  int64_t validations = 0;
  for (const auto& line : read_metrics(shared.path() / "out" / artifacts::metrics_log)) {
    if (!line.contains("val_auc")) continue;
    ++validations;
    best = std::max(best, line.at("val_auc").get<double>());
  }
  EXPECT_EQ(validations, metrics.at("epochs").get<int64_t>());
  EXPECT_EQ(best, published);
}

TEST(ClassifierStage, NeverSeesTheTestImages) {
  Images images, others;
  others.test_pictures_from = 1000;
  std::vector<std::string> hashes;
  for (const auto& set : {images, others}) {
    SharedRun shared(world(), [&](const fs::path& dir) { set.write(dir); });
    run(tiny(3), world(), shared.path(), "out");
    if (world().is_root())
      hashes.push_back(sha256_of_file(shared.path() / "out" / "classifier.safetensors"));
  }
  if (world().is_root()) {
    EXPECT_EQ(hashes[0], hashes[1]);
  }
}

TEST(ClassifierStage, StartsFromGivenWeights) {
  SharedRun shared(world(), [](const fs::path& dir) { Images().write(dir); });
  auto config = tiny(2);
  run(config, world(), shared.path(), "first");
  config.init = (shared.path() / "first" / "classifier.safetensors").string();
  config.learning_rate = 0;
  run(config, world(), shared.path(), "second");
  if (world().is_root()) {
    const auto first = read_safetensors(config.init);
    const auto second = read_safetensors(shared.path() / "second" / "classifier.safetensors");
    EXPECT_TRUE(
        torch::equal(first.at("layer3.0.conv1.weight"), second.at("layer3.0.conv1.weight")));
    EXPECT_FALSE(torch::equal(first.at("fc.weight"), second.at("fc.weight")));
  }
  config.depth = 50;
  EXPECT_THROW(run(config, world(), shared.path(), "third"), Error);
  config.init = (shared.path() / "absent.safetensors").string();
  EXPECT_THROW(run(config, world(), shared.path(), "fourth"), Error);
}

TEST(ClassifierStage, SaysWhatDoesNotFit) {
  auto config = tiny(2);
  config.positive = {3};
  expect_within(complaint({}, config), "class 3");
  config.positive = {0, 1, 2};
  expect_within(complaint({}, config), "one kind of image only");
  config.positive = {};

  Images images;
  images.label = [](int64_t i, Split split) { return split == Split::train ? i % 2 : i % 3; };
  expect_within(complaint(images, config), "no training image of the class 'severe'");
  images.label = [](int64_t i, Split split) { return split == Split::train ? i % 3 : 0; };
  expect_within(complaint(images, config), "all 18 validation images are negative");
  images.val = 0;
  expect_within(complaint(images, config), "no validation images");

  config.bn_group = 5;
  expect_within(complaint({}, config), "classifier.bn_group");
  config.bn_group = 4;
  config.class_weights = "list";
  expect_within(complaint({}, config), "class_weight_list");
  config.class_weight_list = {1, 2};
  expect_within(complaint({}, config), "2 numbers for 3 classes");
}

TEST(ClassWeights, BalancedMakesAllClassesCountTheSame) {
  ClassifierConfig config;
  config.class_weights = "balanced";
  const auto labels = torch::tensor({0, 0, 0, 1, 2, 2}, torch::kInt64);
  const auto weights = class_weights(config, labels, 3);
  EXPECT_TRUE(torch::allclose(weights, torch::tensor({6.0 / 9, 2.0, 1.0}, torch::kFloat64)));
}

}  // namespace
}  // namespace stylescope
