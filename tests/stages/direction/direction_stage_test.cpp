// The direction: f's labels on synthetic images, and the regression on w, on any number of ranks.
#include "stages/direction/direction_stage.hpp"

#include "io/base/error.hpp"
#include "stages/metrics/ranking.hpp"
#include "tests/support/tiny_run.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::TinyRun;
using testing_support::world;

Direction made_by(TinyRun& run, Communicator& ranks, const DirectionConfig& config,
                  const std::string& out, nlohmann::json* metrics = nullptr) {
  auto context = run.context(ranks, out);
  const auto result = run_direction(config, context);
  if (metrics) *metrics = result;
  ranks.barrier();
  return load_direction(run.path() / out / "direction.safetensors");
}

DirectionConfig small_batches() {
  DirectionConfig config;
  config.batch = 7;
  return config;
}

TEST(Direction, TheNumberOfRanksDoesNotChangeIt) {
  TinyRun run(world());
  nlohmann::json together_metrics, alone_metrics;
  const auto together = made_by(run, world(), small_batches(), "together", &together_metrics);
  EXPECT_EQ(together_metrics.at("samples"), 96) << "every rank gets the figures";
  if (!world().is_root()) return;
  SelfCommunicator self;
  const auto alone = made_by(run, self, small_batches(), "alone", &alone_metrics);
  EXPECT_LE((together.scores - alone.scores).abs().max().item<double>(), 1e-8);
  EXPECT_LE((together.alpha - alone.alpha).abs().max().item<double>(), 1e-8);
  EXPECT_NEAR(together.beta, alone.beta, 1e-8);
  EXPECT_EQ(together_metrics, alone_metrics);
}

TEST(Direction, ScoresAreThoseOfFOnTheStoredPictures) {
  TinyRun run(world());
  const auto direction = made_by(run, world(), small_batches(), "made");
  if (!world().is_root()) return;
  auto f =
      load_classifier((run.path() / artifacts::classifier).string(), torch::kCPU, torch::kFloat64);
  const PairSet pairs(run.path() / artifacts::pairs);
  for (const int64_t i : {0, 41, 95})
    EXPECT_NEAR(direction.scores[i].item<double>(),
                f.scores(pairs.read_images({i}))[0].item<double>(), 1e-9);
}

TEST(Direction, TheFitIsTheRegressionOnTheFirstPart) {
  TinyRun run(world());
  nlohmann::json metrics;
  const auto direction = made_by(run, world(), small_batches(), "made", &metrics);
  if (!world().is_root()) return;
  const int64_t fitted = 96 - 19;  // a fifth of 96 held out
  EXPECT_EQ(metrics.at("fitted_on"), fitted);
  const auto w = PairSet(run.path() / artifacts::pairs).w().to(torch::kFloat64);
  const auto labels = direction.scores.ge(0.5).to(torch::kLong);
  const auto expected =
      fit_logistic_regression(w.slice(0, 0, fitted), labels.slice(0, 0, fitted), 1.0);
  EXPECT_LE((direction.alpha - expected.coefficients).abs().max().item<double>(), 1e-10);
  EXPECT_LE((direction.logits - expected.decision(w)).abs().max().item<double>(), 1e-10);
  EXPECT_EQ(direction.held_out.sum().item<int64_t>(), 19);
  EXPECT_EQ(direction.held_out.slice(0, 0, fitted).sum().item<int64_t>(), 0);
  EXPECT_NEAR(metrics.at("held_out_auc").get<double>(),
              auc(labels.slice(0, fitted), direction.logits.slice(0, fitted)), 1e-12);
}

TEST(Direction, OneStandardDeviationMovesTheProjectionByOne) {
  TinyRun run(world());
  const auto d = made_by(run, world(), small_batches(), "made");
  const auto w = PairSet(run.path() / artifacts::pairs, false).w().to(torch::kFloat64);
  EXPECT_NEAR(d.unit.norm().item<double>(), 1, 1e-12);
  const auto projection = w.slice(0, 0, 77).matmul(d.unit);
  EXPECT_NEAR(d.projection_sd, projection.std().item<double>(), 1e-12);
  const auto moved = w + d.lambda_of_sd(2) * d.alpha;
  EXPECT_NEAR(((moved - w).matmul(d.unit) / d.projection_sd)[0].item<double>(), 2, 1e-10);
}

TEST(Direction, OneClassOnlyIsASentenceWithTheRangeOfTheScores) {
  TinyRun run(world());
  auto config = small_batches();
  config.threshold = 1;
  auto context = run.context(world(), "out");
  try {
    run_direction(config, context);
    FAIL() << "no Error was thrown";
  } catch (const Error& error) {
    const std::string text = error.what();
    for (const char* part : {"pairs.h5", "77", "same label", "scores lie between",
                             "direction.threshold", "train the gan longer"})
      EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
  }
}

TEST(Direction, AFileOfAnotherKindIsRefused) {
  TinyRun run(world());
  EXPECT_THROW(load_direction(run.path() / artifacts::encoder), Error);
}

}  // namespace
}  // namespace stylescope
