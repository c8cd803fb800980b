#include "stages/audit/training_origin.hpp"

#include "tests/io/faults.hpp"

#include <memory>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::overwrite;
using testing_support::TempDir;

torch::Tensor picture(int64_t i) {
  torch::manual_seed(i);
  return torch::randint(0, 256, {1, 16, 16}, torch::kUInt8);
}

torch::Tensor larger(const torch::Tensor& image, int64_t factor) {
  return image.repeat_interleave(factor, 1).repeat_interleave(factor, 2);
}

// Run directories "ours" and "theirs", as far as the check looks at them.
class TrainingOrigin : public testing::Test {
 protected:
  // 30 images, ten a split, that show the pictures first, first + 1, ...
  fs::path add_images(const std::string& run, int64_t first, const std::string& subject,
                      const json& source = {{"path", "films"}}, int64_t side = 16) const {
    const fs::path file = dir_ / run / "ingest/images.h5";
    fs::create_directories(file.parent_path());
    ImageSetWriter writer(file, 1, side, side, {"a", "b"}, source.dump());
    for (int64_t i = 0; i < 30; ++i)
      writer.append(larger(picture(first + i), side / 16), {i % 2,
                                                            static_cast<Split>(i / 10),
                                                            subject + std::to_string(i),
                                                            "p" + std::to_string(i),
                                                            {}});
    writer.close();
    add_record(run, "ingest", {{"output_hash", "hash of " + run}});
    return file;
  }
  void add_record(const std::string& run, const std::string& stage, const json& record) const {
    fs::create_directories(dir_ / run / stage);
    overwrite(dir_ / run / stage / "stage.json", record.dump());
  }
  // A stage that was made from the run's images, with these settings.
  void add_stage(const std::string& run, const std::string& stage, const json& config = {}) const {
    add_record(run, stage,
               {{"key", {{"inputs", {{"ingest", "hash of " + run}}}}},
                {"config", config.is_null() ? json::object() : config}});
  }
  fs::path weights(const std::string& run) const {
    return dir_ / run / "gan/generator.safetensors";
  }
  void check() const {
    const auto file = dir_ / "ours/ingest/images.h5";
    check_training_origin(dir_ / "ours", file, ImageSet(file));
  }
  // What the check warns of.
  std::string warnings() const {
    std::ostringstream log;
    const auto before = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
    EXPECT_NO_THROW(check());
    spdlog::set_default_logger(before);
    return log.str();
  }
  std::string failure() const {
    return testing_support::error_of([this] { check(); });
  }
  TempDir dir_;
};

TEST_F(TrainingOrigin, WithoutRecordsOrForeignWeightsThereIsNothingToSay) {
  add_images("ours", 0, "s");
  EXPECT_EQ(warnings(), "");
  for (const char* stage : {"classifier", "gan", "synthesize", "encoder"}) add_stage("ours", stage);
  EXPECT_EQ(warnings(), "");
}

TEST_F(TrainingOrigin, AStageOfAnotherImageSetIsRefused) {
  add_images("ours", 0, "s");
  add_stage("ours", "classifier");
  add_record("ours", "gan", {{"key", {{"inputs", {{"ingest", "another hash"}}}}}});
  EXPECT_THAT(failure(), HasSubstr("ours/gan: was made from another images.h5"));
  EXPECT_THAT(failure(), HasSubstr("run stage 'gan' again"));
}

TEST_F(TrainingOrigin, WeightsOfARunThatSawTheTestImagesAreRefused) {
  add_images("ours", 0, "s");
  // Their images 0..29 show the pictures 15..44: their training images 5..9 are our test ones.
  add_images("theirs", 15, "t", {{"path", "elsewhere"}});
  add_stage("theirs", "gan");
  add_stage("ours", "gan", {{"init_generator", weights("theirs").string()}});
  const auto text = failure();
  EXPECT_THAT(text,
              HasSubstr(weights("theirs").string() + " (gan.init_generator): was trained on"));
  EXPECT_THAT(text, HasSubstr("nearly the same as test images here, 10 pairs"));
  EXPECT_THAT(text, HasSubstr("start from other weights"));
}

TEST_F(TrainingOrigin, WeightsOfARunOfOtherImagesAreFine) {
  add_images("ours", 0, "s");
  add_images("theirs", 100, "t");
  add_stage("theirs", "gan");
  add_stage("ours", "gan", {{"init_generator", weights("theirs").string()}});
  EXPECT_EQ(warnings(), "");
}

TEST_F(TrainingOrigin, ImagesOfAnotherSizeAreComparedToo) {
  add_images("ours", 0, "s");
  add_images("theirs", 15, "t", {{"path", "elsewhere"}}, 64);
  add_stage("theirs", "gan");
  add_stage("ours", "gan", {{"init_generator", weights("theirs").string()}});
  EXPECT_THAT(failure(), HasSubstr("nearly the same as test images here, 10 pairs"));
}

TEST_F(TrainingOrigin, SubjectsAreComparedWhereOneKeyMadeTheirPseudonyms) {
  const json own{{"path", "films"}, {"subject_key", "0123"}},
      other{{"path", "more films"}, {"subject_key", "4567"}};
  add_images("ours", 0, "s", own);
  add_images("theirs", 100, "t", own);
  add_stage("theirs", "gan");
  add_stage("ours", "gan", {{"init_generator", weights("theirs").string()}});
  EXPECT_EQ(warnings(), "");
  for (const json& source : {other, json{{"path", "films"}}}) {
    add_images("theirs", 100, "t", source);
    EXPECT_THAT(warnings(), AllOf(HasSubstr("cannot be compared with the test subjects here"),
                                  HasSubstr("give both runs one ingest.id_key_file")));
  }
  add_images("theirs", 100, "t", {{"source", "phantom"}});
  EXPECT_EQ(warnings(), "");
}

TEST_F(TrainingOrigin, WhereTheImagesWereMadeAgainNobodyKnowsWhatWeightsHaveSeen) {
  add_images("ours", 0, "s");
  add_images("theirs", 15, "t");
  add_stage("theirs", "gan");
  add_stage("ours", "gan", {{"init_generator", weights("theirs").string()}});
  add_record("theirs", "ingest", {{"output_hash", "of other images"}});
  EXPECT_THAT(warnings(), HasSubstr("what it was trained on is not known"));
}

TEST_F(TrainingOrigin, TheSameSubjectsInTheSameSourceAreRefused) {
  add_images("ours", 0, "s");
  add_images("theirs", 100, "s");
  add_stage("theirs", "gan");
  // Their subjects 0..19 trained or validated, ours 20..29 test: make them meet.
  const auto file = dir_ / "theirs/ingest/images.h5";
  ImageSetWriter writer(file, 1, 16, 16, {"a", "b"}, json{{"path", "films"}}.dump());
  for (int64_t i = 0; i < 30; ++i)
    writer.append(picture(100 + i),
                  {0, static_cast<Split>(i / 10), "s" + std::to_string(29 - i), "p", {}});
  writer.close();
  add_stage("ours", "gan", {{"init_discriminator", weights("theirs").string()}});
  EXPECT_THAT(failure(), HasSubstr("gan.init_discriminator): was trained on the images of 10"));
  EXPECT_THAT(failure(), HasSubstr("both sets are of films"));
}

TEST_F(TrainingOrigin, WhatTheWeightsHadStartedFromCountsToo) {
  add_images("ours", 0, "s");
  add_images("theirs", 100, "t");
  add_images("first", 20, "u");
  add_stage("first", "gan");
  add_stage("theirs", "gan", {{"init_generator", weights("first").string()}});
  add_stage("ours", "gan", {{"init_generator", weights("theirs").string()}});
  EXPECT_THAT(failure(),
              HasSubstr(weights("first").string() +
                        " (gan.init_generator behind gan.init_generator): was trained on"));
}

TEST_F(TrainingOrigin, WeightsWithoutARunAreOnlyWarnedOf) {
  add_images("ours", 0, "s");
  const auto file = (dir_ / "downloaded.safetensors").string();
  add_stage("ours", "encoder", {{"init", file}});
  EXPECT_THAT(warnings(),
              HasSubstr(file + " (encoder.init): what it was trained on is not known, nor whether "
                               "test images"));
  // The same images: what trained there trains here.
  add_stage("ours", "gan", {{"init_generator", weights("ours").string()}});
  const auto both = warnings();
  EXPECT_THAT(both, HasSubstr(file + " (encoder.init"));
  EXPECT_THAT(both, Not(HasSubstr(weights("ours").string() + " (gan.init_generator)")));
}

}  // namespace
}  // namespace stylescope
