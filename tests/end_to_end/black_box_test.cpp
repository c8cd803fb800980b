// One and the same f, behind each of the three kinds: the classifier of the undisturbed run as our
// ResNet, as a TorchScript file, and as a program, give the same direction.
#include "tests/support/black_box.hpp"

#include "io/atomic_file.hpp"
#include "io/explanation_set.hpp"
#include "stages/latent/direction_file.hpp"
#include "stages/networks/classifier.hpp"
#include "tests/end_to_end/program.hpp"
#include "tests/end_to_end/script_resnet.hpp"

#include <csignal>
#include <cstdio>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope::end_to_end {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing_support::write_program;

fs::path weights() { return undisturbed(0) / "classifier" / "classifier.safetensors"; }

// From the classifier on, with the earlier stages of the undisturbed run.
Outcome run_with(const TempDir& dir, const std::vector<std::string>& settings,
                 const std::string& stages, int ranks = 0) {
  copy_stages(undisturbed(0), dir.path(), {"ingest", "gan", "synthesize", "encoder"});
  std::vector<std::string> more{"--only", stages};
  for (const auto& setting : settings) more.insert(more.end(), {"--set", setting});
  return stylescope(dir.path(), smoke(more), ranks);
}

std::vector<std::string> command_settings(const std::string& more = "") {
  return {"classifier.kind=command", "classifier.scores=logits",
          "classifier.command=['" STYLESCOPE_RESNET_ANSWERS "', '" + weights().string() + "'" +
              more + "]"};
}

// Against the run in which f is our ResNet. `tolerance` of f's scores; alpha follows from which of
// them reach one half.
void expect_same_direction(const fs::path& run, double tolerance) {
  const auto ours = load_direction(undisturbed(0) / "direction" / "direction.safetensors"),
             theirs = load_direction(run / "direction" / "direction.safetensors");
  EXPECT_LE((ours.scores - theirs.scores).abs().max().item<double>(), tolerance);
  EXPECT_LE((ours.alpha - theirs.alpha).norm().item<double>(),
            1e-6 * ours.alpha.norm().item<double>());
  EXPECT_NEAR(ours.beta, theirs.beta, 1e-6 * std::abs(ours.beta));
}

TEST(BlackBox, ATorchScriptFileGivesTheSameDirectionAndAReport) {
  TempDir dir;
  auto f = load_classifier(weights().string(), torch::kCPU, torch::kFloat32);
  save_as_script(f, dir / "mine.pt");
  char mean[64], stddev[64];
  std::snprintf(mean, sizeof mean, "classifier.mean=[%.17g]", f.mean.at(0));
  std::snprintf(stddev, sizeof stddev, "classifier.std=[%.17g]", f.stddev.at(0));
  const auto outcome = run_with(dir,
                                {"classifier.kind=torchscript", "classifier.file=mine.pt",
                                 "classifier.scores=logits", mean, stddev, "explain.occlusion=4"},
                                "classifier,direction,explain,evaluate,report");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const fs::path run = dir / "run";
  expect_same_direction(run, 1e-5);

  const auto ours = read_explanations(undisturbed(0) / "explain" / "explanations.h5"),
             theirs = read_explanations(run / "explain" / "explanations.h5");
  EXPECT_TRUE(ours.strip.equal(theirs.strip)) << "the same pictures along the same direction";
  EXPECT_LE((ours.f_strip - theirs.f_strip).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(theirs.heat_map_kind, "occlusion");
  const auto report = read_text(run / "report" / "index.html");
  EXPECT_THAT(report, HasSubstr("The classifier is the TorchScript file mine.pt"));
  EXPECT_THAT(report, HasSubstr("show an occlusion map"));
  EXPECT_THAT(report, Not(HasSubstr("show GradCAM")));
  const auto figures = [](const fs::path& of) {
    return nlohmann::json::parse(read_text(of / "evaluate" / "evaluation.json"));
  };
  EXPECT_NEAR(figures(run)["f_true_label"]["auc"]["value"].get<double>(),
              figures(undisturbed(0))["f_true_label"]["auc"]["value"].get<double>(), 1e-6);

  // The run is whole without the file; another file is another f.
  fs::rename(dir / "mine.pt", dir / "elsewhere.pt");
  const auto again = stylescope(dir.path(), {"run", "run/config.yaml", "--only", "classifier"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("taken as unchanged"));
  std::error_code failure;
  fs::copy_file(weights(), dir / "mine.pt", failure);
  const auto other = stylescope(dir.path(), {"run", "run/config.yaml", "--only", "classifier"});
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("mine.pt: is no TorchScript network (it is safetensors, which "
                                   "holds weights only"));
}

TEST(BlackBox, AProgramThroughPipesGivesTheSameDirection) {
  TempDir dir;
  const auto outcome = run_with(dir, command_settings(), "classifier,direction,explain");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_same_direction(dir / "run", 0);
  const auto record = nlohmann::json::parse(read_text(dir / "run" / "classifier" / "stage.json"));
  EXPECT_NEAR(record["metrics"]["val_auc"].get<double>(),
              nlohmann::json::parse(
                  read_text(undisturbed(0) / "classifier" / "stage.json"))["metrics"]["val_auc"]
                  .get<double>(),
              1e-9);
}

TEST(BlackBox, AProgramThroughFilesOnTwoRanksGivesTheSameDirection) {
  TempDir dir;
  auto settings = command_settings(", hdf5");
  settings.push_back("classifier.transport=hdf5");
  const auto outcome = run_with(dir, settings, "classifier,direction", 2);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_same_direction(dir / "run", 0);
}

TEST(BlackBox, AProgramThatFailsEndsAllRanksWithItsLastWords) {
  TempDir dir;
  write_program(dir / "f.sh", "#!/bin/sh\necho 'no licence' >&2\nexit 4\n");
  const auto outcome =
      run_with(dir, {"classifier.kind=command", "classifier.command=[./f.sh]"}, "classifier", 2);
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("f, the program ./f.sh: ended with exit code 4"));
  EXPECT_THAT(outcome.err, HasSubstr("no licence"));
  EXPECT_FALSE(fs::exists(dir / "run" / "classifier"));
}

TEST(BlackBox, AStopIsObeyedAfterTheAnswer) {
  TempDir dir;
  write_program(dir / "slow.sh",
                "#!/bin/sh\nread greeting\necho $$ > pid.txt\necho '{\"stylescope\":1}'\n"
                "while read question; do\nhead -c 256 >/dev/null\nsleep 0.3\n"
                "printf '{\"scores\":[1,1],\"dtype\":\"float32\"}\\n\\000\\000\\000\\000'\ndone\n");
  copy_stages(undisturbed(0), dir.path(), {"ingest"});
  Program program(dir.path(),
                  smoke({"--only", "classifier", "--set", "classifier.kind=command", "--set",
                         "classifier.command=[./slow.sh]", "--set", "classifier.batch=1"}));
  while (!fs::exists(dir / "pid.txt") && program.running())
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(program.running()) << program.said_so_far();
  program.send(SIGTERM);
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.code, 75) << outcome.err;
  EXPECT_TRUE(leaves(static_cast<pid_t>(std::stol(read_text(dir / "pid.txt"))),
                     std::chrono::steady_clock::now() + std::chrono::seconds(2)));
}

TEST(BlackBox, ItsFeaturesCannotBeAskedFor) {
  TempDir dir;
  const auto outcome = stylescope(
      dir.path(), smoke({"--set", "classifier.kind=command", "--set", "classifier.command=[./f]",
                         "--set", "gan.metrics.every_kimg=1", "--dry-run"}));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("gan.metrics.features: script"));
}

}  // namespace
}  // namespace stylescope::end_to_end
