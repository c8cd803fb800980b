// No stage but explain and evaluate reads a test image: every stage runs on an images.h5 whose test
// images are damaged, so that reading one of them is an error.
#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/image_set.hpp"
#include "stages/classifier/classifier_stage.hpp"
#include "stages/direction/direction_stage.hpp"
#include "stages/encoder/encoder_stage.hpp"
#include "stages/evaluate/evaluate_stage.hpp"
#include "stages/explain/explain_stage.hpp"
#include "stages/gan/gan_stage.hpp"
#include "stages/synthesize/synthesize_stage.hpp"
#include "tests/io/faults.hpp"
#include "tests/support/tiny_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using ::testing::HasSubstr;
using testing_support::TinyRun;

// The same images by zstd, which has a checksum; then one byte of every test image is another.
int64_t poison_test_images(const fs::path& file) {
  std::vector<EncodedImage> test;
  {
    const ImageSet plain(file);
    ImageSetWriter writer(file, plain.channels(), plain.height(), plain.width(),
                          plain.label_names(), plain.source_json(), {.storage = Storage::zstd});
    for (int64_t i = 0; i < plain.size(); ++i) {
      const auto image = encode_image(plain.read({i})[0], Storage::zstd);
      writer.append(image, plain.record(i));
      if (plain.record(i).split == Split::test) test.push_back(image);
    }
    writer.close();
  }
  std::string bytes = read_text(file);
  for (const auto& image : test) {
    const std::string chunk(static_cast<const char*>(image.bytes.data_ptr()),
                            static_cast<size_t>(image.bytes.numel()));
    const auto at = bytes.find(chunk);
    EXPECT_NE(at, std::string::npos);
    // In its middle: where zstd finds nothing wrong with the structure, its checksum does.
    bytes.at(at + chunk.size() / 2) ^= 0x55;
  }
  testing_support::overwrite(file, bytes);
  return std::ssize(test);
}

template <class Config>
void make_tiny(Config& config) {
  config.depth = 18;
  config.stem = "small";
  config.width = 4;
  config.steps = 4;
  config.batch = 8;
  config.bn_group = 4;
  config.checkpoint.minutes = 0;
}

class Leakage : public testing::Test {
 protected:
  Leakage() : run_(self_) { poisoned_ = poison_test_images(run_.path() / artifacts::images); }
  template <class Config>
  nlohmann::json run(nlohmann::json (*stage)(const Config&, RunContext&), const Config& config,
                     const std::string& out) {
    auto context = run_.context(self_, out);
    return stage(config, context);
  }
  fs::path images() const { return run_.path() / artifacts::images; }

  SelfCommunicator self_;
  TinyRun run_;
  int64_t poisoned_ = 0;
};

TEST_F(Leakage, EveryTestImageIsPoisonedAndNoOther) {
  EXPECT_EQ(poisoned_, 16);
  const ImageSet set(images());
  for (int64_t i = 0; i < set.size(); ++i) {
    if (set.record(i).split == Split::test)
      EXPECT_THROW(set.read({i}), Error) << i;
    else
      EXPECT_NO_THROW(set.read({i})) << i;
  }
}

TEST_F(Leakage, TheClassifierReadsNoTestImage) {
  ClassifierConfig config;
  make_tiny(config);
  EXPECT_NO_THROW(run(run_classifier, config, "classifier-again"));
}

TEST_F(Leakage, TheGanAndItsFiguresReadNoTestImage) {
  GanConfig config;
  config.batch = 8;
  config.kimg = 0.016;
  config.z_dim = config.w_dim = 16;
  config.channel_base = 128;
  config.channel_max = 8;
  config.checkpoint.minutes = 0;
  config.metrics.every_kimg = 0.008;
  config.metrics.figures = {"fd", "kid", "pr", "ppl"};
  config.metrics.images = 16;
  config.metrics.kid_subset_size = 8;
  EXPECT_NO_THROW(run(run_gan, config, "gan-again"));
}

TEST_F(Leakage, PairsEncoderAndDirectionReadNoTestImage) {
  SynthesizeConfig synthesize;
  synthesize.samples = 32;
  EXPECT_NO_THROW(run(run_synthesize, synthesize, "synthesize-again"));
  EncoderConfig encoder;
  make_tiny(encoder);
  EXPECT_NO_THROW(run(run_encoder, encoder, "encoder-again"));
  EXPECT_NO_THROW(run(run_direction, DirectionConfig{}, "direction-again"));
}

TEST_F(Leakage, ExplainAndEvaluateDo) {
  const auto explain = testing_support::error_of([&] { run(run_explain, ExplainConfig{}, "ex"); });
  EXPECT_THAT(explain, HasSubstr(images().string()));
  run_.context(self_, "explain");
  const auto error = [&] {
    // evaluate needs explain's file: of images of the validation split, which are whole.
    ExplainConfig config;
    config.split = "val";
    config.images = 2;
    config.steps = 3;
    run(run_explain, config, "explain");
    run(run_evaluate, EvaluateConfig{}, "evaluate");
  };
  EXPECT_THAT(testing_support::error_of(error), HasSubstr(images().string()));
}

// A stage that asks all the same is stopped before it has the pixels.
TEST_F(Leakage, ASetOpenedForTrainingHasNoTestImages) {
  const ImageSet set(images(), Access::training);
  EXPECT_EQ(set.indices(Split::train).size() + set.indices(Split::val).size() + 16U,
            static_cast<size_t>(set.size()));
  EXPECT_THROW(set.indices(Split::test), std::logic_error);
  for (int64_t i = 0; i < set.size(); ++i) {
    if (set.record(i).split != Split::test) continue;
    EXPECT_THROW(set.read({0, i}), std::logic_error);
    EXPECT_EQ(set.record(i).split, Split::test);  // what is known of it may be read
    break;
  }
}

}  // namespace
}  // namespace stylescope
