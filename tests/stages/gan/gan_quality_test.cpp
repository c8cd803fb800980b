// Figures of the generator while it is trained, and the best of it.
#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "io/image_set.hpp"
#include "io/metrics_log.hpp"
#include "io/sha256.hpp"
#include "stages/artifacts.hpp"
#include "stages/gan/gan_stage.hpp"
#include "stages/networks/generator.hpp"
#include "stages/quality/quality.hpp"
#include "tests/stages/quality/script_networks.hpp"
#include "tests/support/shared_run.hpp"
#include "tests/support/world.hpp"

#include <csignal>
#include <filesystem>
#include <limits>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing_support::run_stage;
using testing_support::SharedRun;
using testing_support::world;

constexpr const char* kFrechet = "frechet_distance[quarters.pt]";

// 24 training images, and a feature network.
void fill(const fs::path& dir) {
  fs::create_directories(dir / "ingest");
  ImageSetWriter writer(dir / artifacts::images, 1, 16, 16, {"0", "1"}, "{}");
  for (int64_t i = 0; i < 27; ++i) {
    ImageRecord record;
    record.label = i % 2;
    record.split = i < 24 ? Split::train : Split::val;
    record.subject = "s" + std::to_string(i);
    record.path = record.subject + ".png";
    const auto pixels = keyed_uniform({7, "test.images", 0}, {i}, {1, 16, 16}, torch::kFloat32)[0];
    writer.append((pixels * 255).to(torch::kUInt8), record);
  }
  writer.close();
  testing_support::save_script(dir / "quarters.pt", testing_support::kQuarters);
}

// Figures after steps 2, 4, 6 and 7.
GanConfig tiny(const fs::path& run_dir) {
  GanConfig config;
  config.batch = 12;
  config.kimg = 0.084;
  config.z_dim = config.w_dim = 16;
  config.channel_base = 128;
  config.channel_max = 8;
  config.log_every = 1;
  config.learning_rate = 0.02;  // so that it is not always the last that is best
  config.ema_kimg = 0;
  config.checkpoint.minutes = 0;
  config.metrics.every_kimg = 0.024;
  config.metrics.figures = {"fd", "kid", "pr"};
  config.metrics.images = 18;
  config.metrics.batch = 5;
  config.metrics.kid_subset_size = 12;
  config.metrics.features = "script";
  config.metrics.feature_file = (run_dir / "quarters.pt").string();
  return config;
}

std::vector<nlohmann::json> figures_of(const fs::path& folder) {
  std::vector<nlohmann::json> lines;
  for (const auto& line : read_metrics(folder / artifacts::metrics_log))
    if (line.contains(kFrechet)) lines.push_back(line);
  return lines;
}

TEST(GanQuality, LinesAndTheBestGenerator) {
  SharedRun shared(world(), fill);
  StopSignal stop;
  const auto config = tiny(shared.path());
  const auto metrics = run_stage(run_gan, config, world(), shared.path(), "out", stop);
  auto off = config;
  off.metrics.every_kimg = 0;
  run_stage(run_gan, off, world(), shared.path(), "off", stop);
  if (!world().is_root()) return;
  const auto out = shared.path() / "out";
  const auto lines = figures_of(out);
  ASSERT_EQ(lines.size(), 4);
  double best = std::numeric_limits<double>::infinity();
  int64_t best_step = 0;
  for (const auto& line : lines) {
    EXPECT_EQ(line.at("quality_real"), 24);
    EXPECT_EQ(line.at("quality_generated"), 18);
    EXPECT_EQ(line.at("quality_seed"), 5);
    EXPECT_TRUE(line.contains("kernel_distance[quarters.pt]"));
    EXPECT_TRUE(line.contains("precision[quarters.pt]"));
    if (line.at(kFrechet).get<double>() < best) {
      best = line.at(kFrechet).get<double>();
      best_step = line.at("step").get<int64_t>() + 1;
    }
  }
  EXPECT_EQ(lines[0].at("step"), 1);
  EXPECT_EQ(lines[3].at("step"), 6);
  EXPECT_EQ(metrics.at("best_step"), best_step);
  EXPECT_EQ(metrics.at(std::string("best_") + kFrechet), best);
  const auto file = read_safetensors(out / "best.safetensors");
  EXPECT_EQ(file.metadata.at("quality_step"), std::to_string(best_step));
  EXPECT_EQ(std::stod(file.metadata.at("quality_value")), best);
  EXPECT_EQ(file.metadata.at("quality_figure"), kFrechet);
  load_generator((out / "best.safetensors").string(), torch::kCPU, torch::kFloat64);
  // They are looked at, not changed.
  EXPECT_FALSE(fs::exists(shared.path() / "off" / "best.safetensors"));
  EXPECT_TRUE(figures_of(shared.path() / "off").empty());
  EXPECT_EQ(sha256_of_file(out / "generator.safetensors"),
            sha256_of_file(shared.path() / "off" / "generator.safetensors"));
}

// A step of 1e-4 in W drowns in features of a half type: figures are of the whole precision, which
// is what the file that they describe is read in.
TEST(GanQuality, FiguresAreNotThoseOfHalfPrecision) {
  SharedRun shared(world(), fill);
  StopSignal stop;
  auto config = tiny(shared.path());
  config.half_precision = "bfloat16";
  config.metrics.figures = {"fd", "ppl"};
  constexpr auto kType = torch::kFloat32;
  const auto metrics = run_stage(run_gan, config, world(), shared.path(), "out", stop, kType);
  RunContext context{world(), torch::kCPU, kType, 5, shared.path(), shared.path(), stop};
  const ImageSet images(context.images_file());
  const auto network = make_feature_network(config.metrics, context);
  QualityMeter meter(config.metrics, images, *network, context);
  const auto file = (shared.path() / "out" / "best.safetensors").string();
  const auto right = meter.measure(load_generator(file, torch::kCPU, kType)).figures;
  if (!world().is_root()) return;
  for (const auto& line : figures_of(shared.path() / "out")) {
    if (line.at("step").get<int64_t>() + 1 != metrics.at("best_step").get<int64_t>()) continue;
    for (const auto& figure : right) {
      const auto written = line.at(figure.name()).get<double>();
      EXPECT_NEAR(written, figure.value, 1e-6 * figure.value) << figure.name();
    }
  }
}

TEST(GanQuality, NumberOfRanksDoesNotChangeTheFigures) {
  SharedRun shared(world(), fill);
  testing_support::expect_same_on_one_rank(run_gan, tiny(shared.path()), world(), shared.path(),
                                           "best.safetensors");
}

TEST(GanQuality, TheBestSurvivesResumes) {
  SharedRun shared(world(), fill);
  testing_support::expect_exact_resume(run_gan, tiny(shared.path()), world(), shared.path(),
                                       "best.safetensors", 5);
}

TEST(GanQuality, NamesWhatDoesNotFit) {
  SharedRun shared(world(), fill);
  auto config = tiny(shared.path());
  config.metrics.figures = {"kid"};
  EXPECT_THROW(config.check(), UsageError);
  config.metrics.keep_best = false;
  config.check();
  config.metrics.figures = {"memorisation"};
  EXPECT_THROW(config.check(), UsageError);
  // The classifier's features are the default, and there is none.
  auto without = tiny(shared.path());
  without.metrics.features = "classifier";
  without.metrics.feature_file = "";
  StopSignal stop;
  EXPECT_THROW(run_stage(run_gan, without, world(), shared.path(), "without", stop), Error);
}

}  // namespace
}  // namespace stylescope
