// The whole graph through the real program, and the commands that work on what comes out.
#include "io/atomic_file.hpp"
#include "io/safetensors.hpp"
#include "tests/end_to_end/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/torch.h>

namespace fs = std::filesystem;

namespace stylescope::end_to_end {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> kStages{"ingest",     "classifier", "gan",
                                       "synthesize", "encoder",    "direction",
                                       "explain",    "evaluate",   "report"};

// What a run changes when nothing is to be done: the ranks' logs, locks, how it ended.
bool may_change(const std::string& file) {
  return file.starts_with("logs/") || file.ends_with(".lock") || file.ends_with(".outcome.json") ||
         file == "config.yaml";
}

class WholeGraph : public testing::TestWithParam<int> {};

TEST_P(WholeGraph, PublishesEveryStageAndAReport) {
  const int ranks = GetParam();
  const fs::path& run = undisturbed(ranks);
  for (const auto& stage : kStages) {
    const auto record = nlohmann::json::parse(read_text(run / stage / "stage.json"));
    EXPECT_EQ(record.at("stage"), stage);
    EXPECT_EQ(record.at("world_size"), std::max(ranks, 1)) << stage;
    EXPECT_EQ(record.at("threads"), 1) << stage;
    EXPECT_FALSE(fs::exists(run / (stage + ".partial"))) << stage;
  }
  for (const auto& stage : kStages)
    for (int rank = 0; rank < std::max(ranks, 1); ++rank) {
      const auto file = run / "logs" / (stage + ".rank-" + std::to_string(rank) + ".log");
      ASSERT_TRUE(fs::exists(file)) << file;
      if (rank > 0) continue;
      EXPECT_THAT(read_text(file), HasSubstr(stage + ": done in"));
    }
  const std::string report = read_text(run / "report" / "index.html");
  EXPECT_THAT(report, HasSubstr("<html"));
  EXPECT_THAT(report, HasSubstr("</html>"));
  EXPECT_EQ(nlohmann::json::parse(read_text(run / "manifest.json")).at("stages").size(),
            kStages.size());
}

TEST_P(WholeGraph, ASecondRunFindsAllUpToDateAndTouchesNothing) {
  const int ranks = GetParam();
  const fs::path run = undisturbed(ranks);
  const auto before = state_of_files(run);
  const auto again = stylescope(run.parent_path(), smoke(), ranks);
  EXPECT_EQ(again.code, 0) << again.err;
  for (const auto& stage : kStages) {
    EXPECT_THAT(again.err, HasSubstr(stage + ": up to date"));
    EXPECT_THAT(again.err, Not(HasSubstr(stage + ": starts")));
  }
  const auto after = state_of_files(run);
  for (const auto& [file, state] : after)
    if (!may_change(file))
      EXPECT_EQ(before.contains(file) ? before.at(file) : "not there", state) << file;
  EXPECT_EQ(before.size(), after.size());
}

INSTANTIATE_TEST_SUITE_P(Ranks, WholeGraph, testing::Values(0, 2), [](const auto& info) {
  return info.param == 0 ? std::string("alone") : "mpirun" + std::to_string(info.param);
});

TEST(SameAgain, AnotherDirectoryGetsTheSameBits) {
  TempDir dir;
  const auto outcome = stylescope(dir.path(), smoke({"--only", "ingest,classifier"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto expected = significant_files(undisturbed(0));
  const auto made = significant_files(dir / "run");
  EXPECT_TRUE(made.contains("ingest/images.h5"));
  for (const auto& [file, hash] : made) EXPECT_EQ(expected.at(file), hash) << file;
}

std::vector<std::string> generate(const std::vector<std::string>& more) {
  std::vector<std::string> arguments{
      "generate", "--weights", (undisturbed(0) / "gan" / "generator.safetensors").string(),
      "--device", "cpu",       "--threads",
      "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

torch::Tensor images_in(const fs::path& file) { return read_safetensors(file).at("images"); }

TEST(Generate, SeedsToPicturesAndToTensors) {
  TempDir dir;
  const auto pictures = stylescope(dir.path(), generate({"--seeds", "0-3,9", "--out", "pictures"}));
  ASSERT_EQ(pictures.code, 0) << pictures.err;
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(dir / "pictures")) {
    EXPECT_EQ(entry.path().extension(), ".png");
    EXPECT_TRUE(read_text(entry.path()).starts_with("\x89PNG")) << entry.path();
    ++count;
  }
  EXPECT_EQ(count, 5);

  for (const char* name : {"a", "b"}) {
    const auto tensors = stylescope(
        dir.path(), generate({"--seeds", "0-3,9", "--out", std::string(name) + ".safetensors"}));
    ASSERT_EQ(tensors.code, 0) << tensors.err;
  }
  const auto images = images_in(dir / "a.safetensors");
  EXPECT_THAT(images.sizes().vec(), ElementsAre(5, 1, 16, 16));
  EXPECT_EQ(images.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(images.isfinite().all().item<bool>());
  EXPECT_GT((images[0] - images[1]).abs().max().item<double>(), 1e-3) << "seeds must differ";
  EXPECT_TRUE(torch::equal(images, images_in(dir / "b.safetensors")));

  const auto one = stylescope(dir.path(), generate({"--seeds", "9", "--out", "one.safetensors"}));
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_TRUE(torch::allclose(images_in(dir / "one.safetensors")[0], images[4], 1e-4, 1e-5))
      << "an image is a function of its seed, whatever stands beside it";
}

TEST(Generate, LatentsZAndWs) {
  TempDir dir;
  const auto z = torch::linspace(-2, 2, 3 * 16).view({3, 16}).to(torch::kFloat32);
  TensorFile file;
  file.tensors = {{"z", z}};
  write_safetensors(dir / "z.safetensors", file);
  const auto from_z =
      stylescope(dir.path(), generate({"--latents", "z.safetensors", "--out", "a.safetensors"}));
  ASSERT_EQ(from_z.code, 0) << from_z.err;
  EXPECT_THAT(images_in(dir / "a.safetensors").sizes().vec(), ElementsAre(3, 1, 16, 16));

  // Both rows w = 0: the same picture. 16x16 takes 2 log2(16) - 2 = 6 w.
  file.tensors = {{"ws", torch::zeros({2, 6, 16})}};
  write_safetensors(dir / "ws.safetensors", file);
  const auto from_ws =
      stylescope(dir.path(), generate({"--latents", "ws.safetensors", "--out", "b.safetensors"}));
  ASSERT_EQ(from_ws.code, 0) << from_ws.err;
  const auto images = images_in(dir / "b.safetensors");
  EXPECT_THAT(images.sizes().vec(), ElementsAre(2, 1, 16, 16));
  EXPECT_TRUE(torch::allclose(images[0], images[1]));

  file.tensors = {{"z", torch::zeros({2, 7})}};
  write_safetensors(dir / "bad.safetensors", file);
  const auto bad =
      stylescope(dir.path(), generate({"--latents", "bad.safetensors", "--out", "c.safetensors"}));
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.err, HasSubstr("bad.safetensors: "));
  EXPECT_FALSE(fs::exists(dir / "c.safetensors"));
}

TEST(Explain, ANewPictureOnAFinishedRun) {
  TempDir dir;
  const auto made = stylescope(dir.path(), generate({"--seeds", "4", "--out", "pictures"}));
  ASSERT_EQ(made.code, 0) << made.err;
  const fs::path picture = fs::directory_iterator(dir / "pictures")->path();
  const fs::path run = undisturbed(0);
  const auto before = state_of_files(run);
  const auto outcome =
      stylescope(dir.path(), {"explain", run.string(), picture.string(), "--out", "why"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(dir / "why" / "explanations.h5"));
  EXPECT_TRUE(fs::exists(dir / "why" / "strip-000.png"));
  EXPECT_THAT(read_text(dir / "why" / "index.html"), HasSubstr("</html>"));
  EXPECT_EQ(before, state_of_files(run)) << "explain only reads the run";
}

}  // namespace
}  // namespace stylescope::end_to_end
