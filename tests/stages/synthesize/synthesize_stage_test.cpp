// Synthetic pairs: sample i is the same whatever the number of ranks and the batch.
#include "stages/synthesize/synthesize_stage.hpp"

#include "io/base/error.hpp"
#include "tests/support/tiny_run.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TinyRun;
using testing_support::TinyRunOptions;
using testing_support::world;

SynthesizeConfig config_of(int64_t samples, int64_t batch, double psi = 1) {
  SynthesizeConfig config;
  config.samples = samples;
  config.batch = batch;
  config.psi = psi;
  return config;
}

PairSet made_by(TinyRun& run, Communicator& ranks, const SynthesizeConfig& config,
                const std::string& out, torch::Dtype dtype = torch::kFloat64) {
  auto context = run.context(ranks, out, dtype);
  const auto metrics = run_synthesize(config, context);
  EXPECT_EQ(metrics.at("samples"), config.samples);
  return PairSet(run.path() / out / "pairs.h5");
}

torch::Tensor all_images(const PairSet& pairs) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < pairs.size(); ++i) rows.push_back(i);
  return pairs.read_images(rows);
}

void expect_same_on_any_ranks(const TinyRunOptions& options, torch::Dtype dtype, double tolerance) {
  TinyRun run(world(), options);
  // 37 samples in batches of 8: the last batch is short, and 4 ranks do not divide the 5 batches.
  const auto config = config_of(37, 8);
  const auto together = made_by(run, world(), config, "together", dtype);
  if (!world().is_root()) return;
  SelfCommunicator self;
  const auto alone = made_by(run, self, config, "alone", dtype);
  ASSERT_EQ(together.size(), 37);
  EXPECT_EQ(together.w().dtype(), dtype);
  EXPECT_LE((together.w() - alone.w()).abs().max().item<double>(), tolerance);
  EXPECT_TRUE(torch::equal(all_images(together), all_images(alone)));
  EXPECT_GT(together.w().std(0).min().item<double>(), 1e-3) << "the samples must differ";
}

TEST(Synthesize, TheNumberOfRanksDoesNotChangeASample) {
  expect_same_on_any_ranks({}, torch::kFloat64, 1e-8);
}

TEST(Synthesize, InFloat32TheBitsAreTheSameBecauseBatchesAreDealtWhole) {
  expect_same_on_any_ranks({}, torch::kFloat32, 0);
}

TEST(Synthesize, AConditionalGeneratorIsAskedForTheClassesOfTrainingImages) {
  TinyRunOptions options;
  options.conditional = true;
  expect_same_on_any_ranks(options, torch::kFloat64, 1e-8);
}

TEST(Synthesize, TheBatchAndTheNumberOfSamplesDoNotChangeASample) {
  TinyRun run(world());
  const auto few = made_by(run, world(), config_of(20, 5), "few");
  const auto many = made_by(run, world(), config_of(33, 16), "many");
  if (!world().is_root()) return;
  EXPECT_LE((few.w() - many.w().slice(0, 0, 20)).abs().max().item<double>(), 1e-12);
  const auto difference =
      all_images(few).to(torch::kInt) - all_images(many).slice(0, 0, 20).to(torch::kInt);
  EXPECT_LE(difference.abs().max().item<int64_t>(), 1) << "rounding alone may differ";
}

TEST(Synthesize, ThePictureIsWhatTheGeneratorMakesOfTheStoredW) {
  TinyRun run(world());
  const auto pairs = made_by(run, world(), config_of(9, 4), "made");
  if (!world().is_root()) return;
  auto generator =
      load_generator((run.path() / artifacts::generator).string(), torch::kCPU, torch::kFloat64);
  const auto difference =
      pictures_of(generator, pairs.w()).to(torch::kInt) - all_images(pairs).to(torch::kInt);
  EXPECT_LE(difference.abs().max().item<int64_t>(), 1);
}

TEST(Synthesize, PsiPullsTowardsTheAverage) {
  TinyRun run(world());
  const auto whole = made_by(run, world(), config_of(6, 4), "whole");
  const auto half = made_by(run, world(), config_of(6, 4, 0.5), "half");
  if (!world().is_root()) return;
  // w_avg of a fresh generator is 0.
  EXPECT_LE((half.w() - 0.5 * whole.w()).abs().max().item<double>(), 1e-12);
}

TEST(Synthesize, AMissingGeneratorIsNamed) {
  TinyRun run(world());
  if (world().is_root()) std::filesystem::remove(run.path() / artifacts::generator);
  world().barrier();
  auto context = run.context(world(), "out");
  try {
    run_synthesize(config_of(4, 4), context);
    FAIL() << "no Error was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(artifacts::generator), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace stylescope
