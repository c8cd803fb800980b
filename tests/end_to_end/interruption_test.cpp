// Nothing is lost: the smoke run is killed and stopped in the middle of its training stages, its
// checkpoints are damaged, and run again it ends in the bits of an undisturbed run.
#include "io/atomic_file.hpp"
#include "io/checkpoint.hpp"
#include "tests/end_to_end/program.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope::end_to_end {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Case {
  std::string stage;
  std::vector<std::string> made_before;  // all that is not downstream of the stage
};
const Case kClassifier{"classifier", {"ingest", "gan", "synthesize", "encoder"}};
const Case kGan{"gan", {"ingest", "classifier"}};
const Case kEncoder{"encoder", {"ingest", "classifier", "gan", "synthesize", "direction"}};

fs::path partial_of(const TempDir& dir, const Case& c) {
  return dir / "run" / (c.stage + ".partial");
}

std::vector<int64_t> checkpoints_of(const TempDir& dir, const Case& c) {
  return CheckpointDirectory(partial_of(dir, c) / "checkpoints", 2).steps();
}

// A step of the first half of the shortest stage (11 steps), a multiple of 3: another one for each
// test, the same whenever it runs.
int64_t chosen_step(uint32_t seed) {
  std::mt19937 draw(seed);
  return 3 * (1 + static_cast<int64_t>(draw() % 2));
}

// Lets a run work until the stage has written a checkpoint of this step or a later one.
void wait_for_checkpoint(Program& program, const TempDir& dir, const Case& c, int64_t step) {
  while (true) {
    const auto steps = checkpoints_of(dir, c);
    if (!steps.empty() && steps.back() >= step) return;
    if (!program.running())
      throw std::runtime_error("it ended before step " + std::to_string(step) + ": " +
                               program.wait().err);
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
}

// A run that begins with the stage and is killed in its middle.
void kill_in(const TempDir& dir, const Case& c, int64_t step) {
  copy_stages(undisturbed(0), dir.path(), c.made_before);
  Program program(dir.path(), smoke());
  wait_for_checkpoint(program, dir, c, step);
  program.send(SIGKILL);
  EXPECT_EQ(program.wait().signal, SIGKILL);
  ASSERT_TRUE(fs::exists(partial_of(dir, c) / "resume.json")) << "it was killed too late";
}

// metrics.jsonl: no step twice under the same keys, and none missing. (That the lines are the right
// ones, the comparison with the undisturbed run says.)
void expect_whole_log(const fs::path& file) {
  std::istringstream lines(read_text(file));
  std::set<std::pair<int64_t, std::string>> seen;
  int64_t last = -1;
  for (std::string text; std::getline(lines, text);) {
    const auto line = nlohmann::ordered_json::parse(text);
    const auto step = line.at("step").get<int64_t>();
    EXPECT_GE(step, last) << file;
    EXPECT_TRUE(seen.emplace(step, std::next(line.begin()).key()).second) << file << ": " << text;
    last = step;
  }
  EXPECT_GT(seen.size(), 2U) << file;
}

void expect_same_bits(const TempDir& dir, int ranks) {
  const auto expected = significant_files(undisturbed(ranks));
  const auto made = significant_files(dir / "run");
  for (const auto& [file, hash] : expected)
    EXPECT_EQ(made.contains(file) ? made.at(file) : "not there", hash) << file;
  EXPECT_EQ(made.size(), expected.size());
  for (const char* file : {"gan/generator.safetensors", "encoder/encoder.safetensors",
                           "classifier/classifier.safetensors", "direction/direction.safetensors",
                           "explain/explanations.h5", "evaluate/evaluation.json"})
    EXPECT_TRUE(made.contains(file)) << file;
  for (const char* stage : {"classifier", "gan", "encoder"})
    expect_whole_log(dir / "run" / stage / "metrics.jsonl");
}

// Runs again to the end; what it says.
std::string run_again(const TempDir& dir, const Case& c, int ranks = 0) {
  const auto again = stylescope(dir.path(), smoke(), ranks);
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("goes on from " + c.stage + ".partial"));
  EXPECT_THAT(again.err, HasSubstr(c.stage + ": goes on from the checkpoint of step "));
  return again.err;
}

class Killed : public testing::TestWithParam<Case> {};

TEST_P(Killed, EndsInTheSameBits) {
  const Case& c = GetParam();
  TempDir dir;
  kill_in(dir, c, chosen_step(static_cast<uint32_t>(c.stage.size())));
  if (HasFatalFailure()) return;
  run_again(dir, c);
  expect_same_bits(dir, 0);
  const auto record = nlohmann::json::parse(read_text(dir / "run" / c.stage / "stage.json"));
  EXPECT_EQ(record.at("sessions"), 2);
}

INSTANTIATE_TEST_SUITE_P(In, Killed, testing::Values(kClassifier, kGan, kEncoder),
                         [](const auto& info) { return info.param.stage; });

TEST(KilledRank, EndsTheJobAndLosesNothing) {
  TempDir dir;
  copy_stages(undisturbed(2), dir.path(), kGan.made_before);
  Program job(dir.path(), smoke(), 2);
  wait_for_checkpoint(job, dir, kGan, 15);
  const auto ranks = job.rank_pids();
  ASSERT_EQ(ranks.size(), 2U);
  const auto killed = std::chrono::steady_clock::now();
  ASSERT_EQ(::kill(ranks.back(), SIGKILL), 0);
  EXPECT_NE(job.wait().code, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - killed, std::chrono::seconds(30));
  EXPECT_TRUE(leaves(ranks.front(), killed + std::chrono::seconds(30)))
      << "the other rank works on";
  run_again(dir, kGan, 2);
  expect_same_bits(dir, 2);
}

TEST(Stopped, SigtermToASingleProcess) {
  TempDir dir;
  copy_stages(undisturbed(0), dir.path(), kGan.made_before);
  // No checkpoints but the anchors and the one for the stop.
  Program program(dir.path(), smoke({"--set", "gan.checkpoint.steps=0"}));
  while (program.running() && !fs::exists(partial_of(dir, kGan) / "metrics.jsonl"))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  program.send(SIGTERM);
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.code, 75) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("a checkpoint was written, run the same command again to go on\n"));
  const auto steps = checkpoints_of(dir, kGan);
  ASSERT_FALSE(steps.empty());
  EXPECT_THAT(outcome.err,
              HasSubstr("gan: stopped after step " + std::to_string(steps.back()) + " of "));
  run_again(dir, kGan);
  expect_same_bits(dir, 0);
}

class StoppedThroughMpirun : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(By, StoppedThroughMpirun, testing::Values(SIGUSR1, SIGUSR2));

TEST_P(StoppedThroughMpirun, GoesOn) {
  TempDir dir;
  copy_stages(undisturbed(2), dir.path(), kGan.made_before);
  Program job(dir.path(), smoke(), 2);
  wait_for_checkpoint(job, dir, kGan, 9);
  job.send(GetParam());
  const auto outcome = job.wait();
  EXPECT_EQ(outcome.code, 75) << outcome.err;
  const std::string sentence = "run the same command again to go on";
  EXPECT_THAT(outcome.err, HasSubstr(sentence));
  EXPECT_EQ(outcome.err.find(sentence), outcome.err.rfind(sentence)) << "said once, not by each";
  run_again(dir, kGan, 2);
  expect_same_bits(dir, 2);
}

void flip_a_byte(const fs::path& file) {
  std::string bytes = read_text(file);
  bytes.at(bytes.size() * 2 / 3) ^= 0x10;  // far inside the tensors
  publish_text(file, bytes);
}

TEST(DamagedCheckpoint, TheOneBeforeIsUsed) {
  TempDir dir;
  kill_in(dir, kGan, 9);
  if (HasFatalFailure()) return;
  const auto steps = checkpoints_of(dir, kGan);
  // Two are kept; the kill may have come between writing a third and removing the first.
  ASSERT_GE(steps.size(), 2U);
  const std::string newest = "checkpoint-" + std::to_string(steps.back()) + ".safetensors";
  flip_a_byte(partial_of(dir, kGan) / "checkpoints" / newest);
  const std::string said = run_again(dir, kGan);
  const auto warning = said.find("warning: ");
  ASSERT_NE(warning, std::string::npos) << said;
  const std::string line = said.substr(warning, said.find('\n', warning) - warning);
  EXPECT_THAT(line, HasSubstr(newest + ": is damaged"));
  EXPECT_THAT(line, HasSubstr("trying the one before"));
  EXPECT_THAT(said, HasSubstr("goes on from the checkpoint of step " +
                              std::to_string(steps.at(steps.size() - 2)) + "\n"));
  expect_same_bits(dir, 0);
}

TEST(DamagedCheckpoint, AllDamagedIsAnErrorThatSaysWhatToDo) {
  TempDir dir;
  kill_in(dir, kClassifier, 6);
  if (HasFatalFailure()) return;
  const fs::path folder = partial_of(dir, kClassifier) / "checkpoints";
  for (const auto step : checkpoints_of(dir, kClassifier))
    flip_a_byte(folder / ("checkpoint-" + std::to_string(step) + ".safetensors"));
  const auto refused = stylescope(dir.path(), smoke());
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("error: run/classifier.partial/checkpoints: none of the "));
  EXPECT_THAT(refused.err,
              HasSubstr("; remove this folder to start the stage from its beginning\n"));
  EXPECT_FALSE(fs::exists(dir / "run" / "classifier"));

  // What the sentence advises works.
  fs::remove_all(folder);
  const auto again = stylescope(dir.path(), smoke());
  EXPECT_EQ(again.code, 0) << again.err;
  expect_same_bits(dir, 0);
}

}  // namespace
}  // namespace stylescope::end_to_end
