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
#include "tests/support/temp_dir.hpp"
#include "tests/support/world.hpp"

#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing_support::TempDir;
using testing_support::world;

// A run directory that all ranks share, with 24 training images of two classes.
class SharedRun {
 public:
  explicit SharedRun(Communicator& world) : world_(world) {
    if (world.is_root()) {
      dir_ = std::make_unique<TempDir>();
      fs::create_directories(dir_->path() / "ingest");
      ImageSetWriter writer(dir_->path() / artifacts::images, 1, 16, 16, {"0", "1"}, "{}");
      for (int64_t i = 0; i < 30; ++i) {
        ImageRecord record;
        record.label = i % 2;
        record.split = i < 24 ? Split::train : i < 27 ? Split::val : Split::test;
        record.subject = "s" + std::to_string(i);
        record.path = record.subject + ".png";
        const auto pixels =
            keyed_uniform({7, "test.images", 0}, {i}, {1, 16, 16}, torch::kFloat32)[0];
        writer.append((pixels * 255).to(torch::kUInt8), record);
      }
      writer.close();
    }
    path_ = world.broadcast(dir_ ? dir_->path().string() : std::string(), 0);
  }
  ~SharedRun() { world_.barrier(); }
  const fs::path& path() const { return path_; }

 private:
  Communicator& world_;
  std::unique_ptr<TempDir> dir_;
  fs::path path_;
};

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

nlohmann::json run(const GanConfig& config, Communicator& ranks, const fs::path& run_dir,
                   const std::string& out, StopSignal& stop) {
  RunContext context{ranks, torch::kCPU, torch::kFloat64, 5, run_dir, run_dir / out, stop};
  if (ranks.is_root()) fs::create_directories(context.out_dir);
  ranks.barrier();
  return run_gan(config, context);
}

void expect_same_losses(const fs::path& a, const fs::path& b, double tolerance) {
  const auto first = read_metrics(a / artifacts::metrics_log),
             second = read_metrics(b / artifacts::metrics_log);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i)
    for (const auto& [key, value] : first[i].items())
      EXPECT_NEAR(value.get<double>(), second[i].at(key).get<double>(),
                  tolerance * (1 + std::abs(value.get<double>())))
          << key << " at line " << i;
}

TEST(GanStage, NumberOfRanksDoesNotChangeTheResult) {
  SharedRun shared(world());
  StopSignal stop;
  for (const bool conditional : {false, true}) {
    auto config = tiny(20);
    config.conditional = conditional;
    const std::string suffix = conditional ? "-conditional" : "";
    run(config, world(), shared.path(), "ranks" + suffix, stop);
    if (!world().is_root()) continue;
    SelfCommunicator alone;
    run(config, alone, shared.path(), "alone" + suffix, stop);
    expect_same_losses(shared.path() / ("ranks" + suffix), shared.path() / ("alone" + suffix),
                       1e-8);
    const auto ranks =
        read_safetensors(shared.path() / ("ranks" + suffix) / "generator.safetensors");
    const auto one = read_safetensors(shared.path() / ("alone" + suffix) / "generator.safetensors");
    for (const auto& [name, tensor] : ranks.tensors)
      EXPECT_LE((tensor - one.at(name)).abs().max().item<double>(),
                1e-8 * (1 + tensor.abs().max().item<double>()))
          << name;
  }
}

TEST(GanStage, ResumesToTheSameBits) {
  SharedRun shared(world());
  const auto config = tiny(7);
  {
    StopSignal stop;
    run(config, world(), shared.path(), "undisturbed", stop);
  }
  // A signal to one rank only, again and again: each time the ranks agree at the end of the step,
  // write a checkpoint and leave. Steps 0 and 4 run the lazy phases, so that every kind of step is
  // resumed into.
  for (int interruption = 0; interruption < 6; ++interruption) {
    StopSignal stop;
    if (world().rank() == world().size() - 1) std::raise(SIGUSR1);
    EXPECT_THROW(run(config, world(), shared.path(), "resumed", stop), Interrupted);
  }
  {
    StopSignal stop;
    run(config, world(), shared.path(), "resumed", stop);
  }
  if (!world().is_root()) return;
  for (const char* file :
       {"generator.safetensors", "discriminator.safetensors", "metrics.jsonl", "samples.png"})
    EXPECT_EQ(sha256_of_file(shared.path() / "undisturbed" / file),
              sha256_of_file(shared.path() / "resumed" / file))
        << file;
}

TEST(GanStage, NamesWhatDoesNotFit) {
  SharedRun shared(world());
  StopSignal stop;
  auto config = tiny(1);
  config.batch = 10;
  EXPECT_THROW(run(config, world(), shared.path(), "odd", stop), UsageError);
}

}  // namespace
}  // namespace stylescope
