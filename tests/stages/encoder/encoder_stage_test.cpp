// The encoder stage from pairs.h5 to encoder.safetensors: the number of ranks does not change the
// result, a stopped run goes on to the same bits, it learns, and what it reports can be found again
// from its files.
#include "stages/encoder/encoder_stage.hpp"

#include "distributed/random.hpp"
#include "io/image_set.hpp"
#include "io/pair_set.hpp"
#include "io/picture.hpp"
#include "stages/networks/encoder.hpp"
#include "stages/networks/generator.hpp"
#include "tests/support/shared_run.hpp"
#include "tests/support/world.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using namespace testing_support;

constexpr int64_t kW = 4;

// Pictures from which w can be read: w_k lights up the k-th quarter; w has a mean and a deviation
// of its own per dimension.
torch::Tensor pictures_of_w(const torch::Tensor& w) {
  auto pixels = torch::full({w.size(0), 1, 16, 16}, 128, torch::kFloat64);
  for (int64_t k = 0; k < kW; ++k)
    pixels.slice(2, 8 * (k / 2), 8 * (k / 2) + 8)
        .slice(3, 8 * (k % 2), 8 * (k % 2) + 8)
        .add_(((w.select(1, k) - static_cast<double>(k)) / static_cast<double>(k + 1) * 40)
                  .view({-1, 1, 1, 1}));
  return pixels.clamp(0, 255).to(torch::kUInt8);
}

torch::Tensor w_of(int64_t begin, int64_t end) {
  std::vector<int64_t> samples(static_cast<size_t>(end - begin));
  std::iota(samples.begin(), samples.end(), begin);
  const auto scale = torch::arange(1, kW + 1, torch::kFloat64);
  return keyed_normal({3, "test.w", 0}, samples, {kW}, torch::kFloat64) * scale +
         torch::arange(kW, torch::kFloat64);
}

void write_pairs(const fs::path& dir, int64_t n) {
  fs::create_directories(dir / "synthesize");
  std::vector<PairShard> shards;
  for (int64_t part = 0; part < 2; ++part) {
    const auto begin = n * part / 2, end = n * (part + 1) / 2;
    PairShardWriter writer(dir / "synthesize" / ("pairs-" + std::to_string(part) + "-of-2.h5"),
                           end - begin, kW, torch::kFloat64, 1, 16, 16);
    const auto w = w_of(begin, end);
    writer.append(w, pictures_of_w(w), torch::arange(begin, end));
    shards.push_back(writer.close());
  }
  write_pair_index(dir / artifacts::pairs, shards);
}

void write_run(const fs::path& dir, int64_t pairs, int64_t w_dim = kW) {
  fs::create_directories(dir / "ingest");
  fs::create_directories(dir / "gan");
  ImageSetWriter images(dir / artifacts::images, 1, 16, 16, {"0", "1"}, "{}");
  const auto pixels = pictures_of_w(w_of(5000, 5030));
  for (int64_t i = 0; i < 30; ++i)
    images.append(pixels[i], {i % 2,
                              i < 10   ? Split::train
                              : i < 23 ? Split::val
                                       : Split::test,
                              "s" + std::to_string(i),
                              "p",
                              {}});
  images.close();
  GeneratorOptions options;
  options.z_dim = 4;
  options.w_dim = w_dim;
  options.resolution = 16;
  options.image_channels = 1;
  options.channel_base = 64;
  options.channel_max = 4;
  options.mapping_layers = 2;
  Generator generator(options);
  initialize(generator, 3);
  save_generator((dir / artifacts::generator).string(), generator);
  write_pairs(dir, pairs);
}

EncoderConfig tiny(int64_t steps) {
  EncoderConfig config;
  config.depth = 18;
  config.stem = "small";
  config.width = 4;
  config.steps = steps;
  config.batch = 12;
  config.bn_group = 4;
  config.learning_rate = 3e-3;
  config.log_every = 1;
  config.checkpoint.minutes = 0;
  return config;
}

nlohmann::json run(const EncoderConfig& config, const fs::path& run_dir, const std::string& out) {
  StopSignal stop;
  return run_stage(run_encoder, config, world(), run_dir, out, stop);
}

TEST(EncoderStage, NumberOfRanksDoesNotChangeTheResult) {
  SharedRun shared(world(), [](const fs::path& dir) { write_run(dir, 80); });
  expect_same_on_one_rank(run_encoder, tiny(20), world(), shared.path(), "encoder.safetensors");
  expect_same_first_loss_in_float32(run_encoder, tiny(1), world(), shared.path());
}

// 5 groups, and epochs (63 pairs), held-out pairs (7) and validation images (13) that no batch of
// 20 divides.
TEST(EncoderStage, UnevenSharesDoNotChangeTheResult) {
  SharedRun shared(world(), [](const fs::path& dir) { write_run(dir, 70); });
  auto config = tiny(20);
  config.batch = 20;
  expect_same_on_one_rank(run_encoder, config, world(), shared.path(), "encoder.safetensors");
}

TEST(EncoderStage, RanksWithoutAGroupDoNotChangeTheResult) {
  SharedRun shared(world(), [](const fs::path& dir) { write_run(dir, 70); });
  auto config = tiny(4);
  config.batch = 4;
  expect_same_on_one_rank(run_encoder, config, world(), shared.path(), "encoder.safetensors");
}

TEST(EncoderStage, GoesOnWithAnotherNumberOfRanks) {
  if (world().size() == 1) GTEST_SKIP() << "takes two ranks";
  SharedRun shared(world(), [](const fs::path& dir) { write_run(dir, 80); });
  expect_elastic(run_encoder, tiny(20), world(), shared.path(), "encoder.safetensors");
}

TEST(EncoderStage, ResumesToTheSameBits) {
  SharedRun shared(world(), [](const fs::path& dir) { write_run(dir, 40); });
  auto config = tiny(8);
  config.log_every = 3;
  config.augment.brightness = 0.05;
  expect_exact_resume(run_encoder, config, world(), shared.path(), "encoder.safetensors", 5);
}

// R2 and reconstruction, written down a second time from the definition.
void expect_reported(const nlohmann::json& metrics, const fs::path& run_dir, const std::string& out,
                     int64_t pairs) {
  auto encoder =
      load_encoder((run_dir / out / "encoder.safetensors").string(), torch::kCPU, torch::kFloat64);
  const auto truth = w_of(pairs - pairs / 10, pairs);
  const auto found = encoder.encode(pictures_of_w(truth));
  const auto errors = (found - truth).square().sum(0), spread = truth.var(0, false) * truth.size(0);
  const auto each = 1 - errors / spread;
  EXPECT_NEAR(metrics.at("r2").get<double>(), 1 - (errors.sum() / spread.sum()).item<double>(),
              1e-9);
  EXPECT_NEAR(metrics.at("r2_dimension_mean").get<double>(), each.mean().item<double>(), 1e-9);
  const auto sorted = std::get<0>(each.sort());
  EXPECT_NEAR(metrics.at("r2_dimension_median").get<double>(),
              (sorted[1] + sorted[2]).item<double>() / 2, 1e-9);

  const ImageSet images(run_dir / artifacts::images);
  auto generator =
      load_generator((run_dir / artifacts::generator).string(), torch::kCPU, torch::kFloat64);
  const auto x = images.read(images.indices(Split::val));
  torch::NoGradGuard no_grad;
  const auto again = to_uint8(generator->synthesize(generator->broadcast(encoder.encode(x))));
  const auto difference = again.to(torch::kFloat64) - x.to(torch::kFloat64);
  EXPECT_NEAR(metrics.at("reconstruction_mae").get<double>(),
              difference.abs().mean().item<double>(), 1e-9);
  EXPECT_NEAR(metrics.at("reconstruction_mse").get<double>(),
              difference.square().mean().item<double>(), 1e-6);
  const auto from_mean =
      x.to(torch::kFloat64) - images.read(images.indices(Split::train)).to(torch::kFloat64).mean(0);
  EXPECT_NEAR(metrics.at("mean_image_mae").get<double>(), from_mean.abs().mean().item<double>(),
              1e-9);
  EXPECT_NEAR(metrics.at("mean_image_mse").get<double>(), from_mean.square().mean().item<double>(),
              1e-6);
}

TEST(EncoderStage, LearnsAndReportsWhatItsFilesHold) {
  constexpr int64_t kPairs = 240;
  SharedRun shared(world(), [](const fs::path& dir) { write_run(dir, kPairs); });
  for (const bool standardize : {true, false}) {
    auto config = tiny(150);
    config.learning_rate = 1e-2;
    config.standardize = standardize;
    const std::string out = standardize ? "standardized" : "plain";
    const auto metrics = run(config, shared.path(), out);
    EXPECT_GT(metrics.at("r2").get<double>(), 0.8) << out;
    if (!world().is_root()) continue;
    expect_reported(metrics, shared.path(), out, kPairs);
    const auto file = read_safetensors(shared.path() / out / "encoder.safetensors");
    const auto train = w_of(0, kPairs - kPairs / 10);
    EXPECT_TRUE(torch::allclose(file.at("w_mean"),
                                standardize ? train.mean(0) : torch::zeros({kW}, torch::kFloat64)));
    EXPECT_TRUE(torch::allclose(file.at("w_scale"),
                                standardize ? train.std(0) : torch::ones({kW}, torch::kFloat64)));
  }
}

TEST(EncoderStage, SaysWhatDoesNotFit) {
  {
    SharedRun shared(world(), [](const fs::path& dir) { write_run(dir, 4); });
    EXPECT_THROW(run(tiny(1), shared.path(), "few"), Error);
  }
  {
    SharedRun shared(world(), [](const fs::path& dir) { write_run(dir, 40, kW + 1); });
    EXPECT_THROW(run(tiny(1), shared.path(), "other_w"), Error);
  }
  {
    SharedRun shared(world(), [](const fs::path& dir) {
      write_run(dir, 40);
      fs::remove(dir / "synthesize" / "pairs-1-of-2.h5");
    });
    EXPECT_THROW(run(tiny(1), shared.path(), "lost_shard"), Error);
  }
}

}  // namespace
}  // namespace stylescope
