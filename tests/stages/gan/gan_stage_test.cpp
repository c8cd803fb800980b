// The gan stage from images.h5 to generator.safetensors: the number of ranks does not change the
// result, and a stopped run goes on to the same bits.
#include "stages/gan/gan_stage.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "io/image_set.hpp"
#include "io/metrics_log.hpp"
#include "io/safetensors.hpp"
#include "io/sha256.hpp"
#include "stages/artifacts.hpp"
#include "tests/support/shared_run.hpp"
#include "tests/support/world.hpp"

#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing_support::expect_same_lines;
using testing_support::expect_same_tensors;
using testing_support::run_stage;
using testing_support::SharedRun;
using testing_support::world;

// 24 training images of two classes.
void write_images(const fs::path& dir) {
  fs::create_directories(dir / "ingest");
  ImageSetWriter writer(dir / artifacts::images, 1, 16, 16, {"0", "1"}, "{}");
  for (int64_t i = 0; i < 30; ++i) {
    ImageRecord record;
    record.label = i % 2;
    record.split = i < 24 ? Split::train : i < 27 ? Split::val : Split::test;
    record.subject = "s" + std::to_string(i);
    record.path = record.subject + ".png";
    const auto pixels = keyed_uniform({7, "test.images", 0}, {i}, {1, 16, 16}, torch::kFloat32)[0];
    writer.append((pixels * 255).to(torch::kUInt8), record);
  }
  writer.close();
}

GanConfig tiny(int64_t steps) {
  GanConfig config;
  config.batch = 12;
  config.kimg = static_cast<double>(steps * config.batch) / 1000;
  config.z_dim = config.w_dim = 16;
  config.channel_base = 128;
  config.channel_max = 8;
  config.mbstd_group = 4;
  config.log_every = 1;
  config.mirror = true;
  config.checkpoint.minutes = 0;
  return config;
}

TEST(GanStage, NumberOfRanksDoesNotChangeTheResult) {
  SharedRun shared(world(), write_images);
  StopSignal stop;
  for (const bool conditional : {false, true}) {
    auto config = tiny(20);
    config.conditional = conditional;
    const std::string suffix = conditional ? "-conditional" : "";
    run_stage(run_gan, config, world(), shared.path(), "ranks" + suffix, stop);
    if (!world().is_root()) continue;
    SelfCommunicator alone;
    run_stage(run_gan, config, alone, shared.path(), "alone" + suffix, stop);
    const auto ranks = shared.path() / ("ranks" + suffix), one = shared.path() / ("alone" + suffix);
    expect_same_lines(ranks, one, 1e-8);
    expect_same_tensors(ranks / "generator.safetensors", one / "generator.safetensors", 1e-8);
  }
}

// 5 minibatch-stddev groups, 24 images shown mirrored as well, and 10 path lengths: no share of 2,
// 3 or 4 ranks is like another's, and batches lie across the ends of epochs.
TEST(GanStage, UnevenSharesDoNotChangeTheResult) {
  SharedRun shared(world(), write_images);
  auto config = tiny(20);
  config.batch = 20;
  config.kimg = 0.4;
  testing_support::expect_same_on_one_rank(run_gan, config, world(), shared.path(),
                                           "generator.safetensors");
}

TEST(GanStage, GoesOnWithAnotherNumberOfRanks) {
  if (world().size() == 1) GTEST_SKIP() << "takes two ranks";
  SharedRun shared(world(), write_images);
  testing_support::expect_elastic(run_gan, tiny(20), world(), shared.path(),
                                  "generator.safetensors");
}

// Later float32 steps drift apart (GANs amplify rounding); the first step's losses do not.
TEST(GanStage, FirstLossInFloat32DoesNotDependOnTheRanks) {
  SharedRun shared(world(), write_images);
  StopSignal stop;
  const auto config = tiny(1);
  run_stage(run_gan, config, world(), shared.path(), "ranks32", stop, torch::kFloat32);
  if (!world().is_root()) return;
  SelfCommunicator alone;
  run_stage(run_gan, config, alone, shared.path(), "alone32", stop, torch::kFloat32);
  const auto loss = [&](const char* out) {
    return read_metrics(shared.path() / out / artifacts::metrics_log)
        .at(0)
        .at("loss_g")
        .get<double>();
  };
  EXPECT_NEAR(loss("ranks32"), loss("alone32"), 1e-5 * std::abs(loss("alone32")));
}

TEST(GanStage, ResumesToTheSameBits) {
  SharedRun shared(world(), write_images);
  const auto config = tiny(7);
  {
    StopSignal stop;
    run_stage(run_gan, config, world(), shared.path(), "undisturbed", stop);
  }
  // A signal to one rank only, again and again: each time the ranks agree at the end of the step,
  // write a checkpoint and leave. Steps 0 and 4 run the lazy phases, so that every kind of step is
  // resumed into.
  for (int interruption = 0; interruption < 6; ++interruption) {
    StopSignal stop;
    if (world().rank() == world().size() - 1) std::raise(SIGUSR1);
    EXPECT_THROW(run_stage(run_gan, config, world(), shared.path(), "resumed", stop), Interrupted);
  }
  {
    StopSignal stop;
    run_stage(run_gan, config, world(), shared.path(), "resumed", stop);
  }
  if (!world().is_root()) return;
  for (const char* file :
       {"generator.safetensors", "discriminator.safetensors", "metrics.jsonl", "samples.png"})
    EXPECT_EQ(sha256_of_file(shared.path() / "undisturbed" / file),
              sha256_of_file(shared.path() / "resumed" / file))
        << file;
}

TEST(GanStage, ImagesAtATimeDoNotChangeTheResult) {
  SharedRun shared(world(), write_images);
  auto config = tiny(20);
  config.batch = 24;
  config.kimg = 0.48;
  StopSignal stop;
  run_stage(run_gan, config, world(), shared.path(), "whole", stop);
  config.batch_per_rank = 8;
  run_stage(run_gan, config, world(), shared.path(), "rounds", stop);
  if (!world().is_root()) return;
  expect_same_lines(shared.path() / "whole", shared.path() / "rounds", 1e-8);
  expect_same_tensors(shared.path() / "whole" / "generator.safetensors",
                      shared.path() / "rounds" / "generator.safetensors", 1e-8);
}

// A learning rate that no training survives, and a way back that makes it a small one.
GanConfig diverging() {
  auto config = tiny(20);
  config.learning_rate = 1;
  config.sentinel.patience = 3;
  config.sentinel.logit_gap = 50;
  config.sentinel.learning_rate_factor = 1e-4;
  config.sentinel.anchor_kimg = 0.024;  // two steps
  return config;
}

std::vector<nlohmann::json> step_backs(const fs::path& out) {
  return fs::exists(out / "step_backs.jsonl") ? read_metrics(out / "step_backs.jsonl")
                                              : std::vector<nlohmann::json>{};
}

TEST(GanStage, StepsBackFromADivergence) {
  SharedRun shared(world(), write_images);
  StopSignal stop;
  const auto metrics = run_stage(run_gan, diverging(), world(), shared.path(), "out", stop);
  EXPECT_EQ(metrics.at("step_backs"), 1);
  if (!world().is_root()) return;
  const auto events = step_backs(shared.path() / "out");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_LE(events[0].at("back_to"), events[0].at("step"));
  EXPECT_NE(events[0].at("reason").get<std::string>().find("since step"), std::string::npos);
  // No step twice, none missing.
  const auto lines = read_metrics(shared.path() / "out" / artifacts::metrics_log);
  ASSERT_EQ(lines.size(), 20U);
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i].at("step"), i);
}

// Stopped anywhere, before, in and after the divergence, it ends in the same bits.
TEST(GanStage, ResumesAroundADivergenceToTheSameBits) {
  SharedRun shared(world(), write_images);
  {
    StopSignal stop;
    run_stage(run_gan, diverging(), world(), shared.path(), "undisturbed", stop);
  }
  for (bool done = false; !done;) {
    StopSignal stop;
    if (world().rank() == world().size() - 1) std::raise(SIGUSR1);
    try {
      run_stage(run_gan, diverging(), world(), shared.path(), "resumed", stop);
      done = true;
    } catch (const Interrupted&) {
    }
  }
  if (!world().is_root()) return;
  for (const char* file : {"generator.safetensors", "discriminator.safetensors", "metrics.jsonl"})
    EXPECT_EQ(sha256_of_file(shared.path() / "undisturbed" / file),
              sha256_of_file(shared.path() / "resumed" / file))
        << file;
}

TEST(GanStage, GivesUpAfterItsRetries) {
  SharedRun shared(world(), write_images);
  StopSignal stop;
  auto config = diverging();
  config.sentinel.learning_rate_factor = 1;  // it diverges again
  config.sentinel.retries = 4;
  try {
    run_stage(run_gan, config, world(), shared.path(), "out", stop);
    FAIL() << "it trained on";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("gan.learning_rate"), std::string::npos);
  }
  world().barrier();
  if (world().is_root()) EXPECT_EQ(step_backs(shared.path() / "out").size(), 4U);
}

TEST(GanStage, StartsFromGivenWeights) {
  SharedRun shared(world(), write_images);
  StopSignal stop;
  run_stage(run_gan, tiny(8), world(), shared.path(), "first", stop);
  auto config = tiny(1);
  config.learning_rate = 0;
  config.init_generator = (shared.path() / "first" / "generator.safetensors").string();
  config.init_discriminator = (shared.path() / "first" / "discriminator.safetensors").string();
  config.freeze_d = 3;
  run_stage(run_gan, config, world(), shared.path(), "second", stop);
  if (!world().is_root()) return;
  for (const char* file : {"generator.safetensors", "discriminator.safetensors"}) {
    auto first = read_safetensors((shared.path() / "first" / file).string());
    auto second = read_safetensors((shared.path() / "second" / file).string());
    for (const auto& [name, tensor] : first.tensors)
      if (name != "mapping.w_avg") EXPECT_TRUE(torch::equal(tensor, second.at(name))) << name;
  }
}

TEST(GanStage, NamesWhatDoesNotFit) {
  SharedRun shared(world(), write_images);
  StopSignal stop;
  auto config = tiny(1);
  config.batch = 10;
  EXPECT_THROW(run_stage(run_gan, config, world(), shared.path(), "odd", stop), UsageError);
}

}  // namespace
}  // namespace stylescope
