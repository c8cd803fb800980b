// From images.h5, a classifier and a generator to figures, on all ranks.
#include "stages/quality/quality.hpp"

#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "io/sha256.hpp"
#include "stages/latent/batches.hpp"
#include "stages/metrics/frechet.hpp"
#include "stages/metrics/kernel_distance.hpp"
#include "stages/metrics/neighbours.hpp"
#include "stages/quality/generated_images.hpp"
#include "stages/quality/path_length.hpp"
#include "stages/quality/quality_report.hpp"
#include "tests/stages/quality/script_networks.hpp"
#include "tests/support/tiny_run.hpp"
#include "tests/support/world.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing::HasSubstr;
using testing_support::TinyRun;
using testing_support::TinyRunOptions;
using testing_support::world;

MetricsConfig small() {
  MetricsConfig config;
  config.figures = {"fd", "kid", "pr", "ppl"};
  config.images = 23;
  config.batch = 4;
  config.kid_subsets = 5;
  config.kid_subset_size = 8;
  config.neighbours = 2;
  return config;
}

Generator generator_of(const TinyRun& run) {
  return load_generator((run.path() / artifacts::generator).string(), torch::kCPU, torch::kFloat64);
}

QualityResult measure(TinyRun& run, const MetricsConfig& config, Communicator& ranks) {
  auto context = run.context(ranks, "quality");
  const ImageSet images(context.images_file());
  const auto network = make_feature_network(config, context);
  QualityMeter meter(config, images, *network, context);
  return meter.measure(generator_of(run));
}

std::vector<fs::path> cached(const TinyRun& run) {
  std::vector<fs::path> files;
  if (fs::exists(run.path() / "quality/cache"))
    for (const auto& entry : fs::directory_iterator(run.path() / "quality/cache"))
      files.push_back(entry.path());
  return files;
}

TEST(Quality, NumberOfRanksDoesNotChangeTheFigures) {
  for (const bool conditional : {false, true}) {
    TinyRunOptions options;
    options.conditional = conditional;
    TinyRun run(world(), options);
    const auto together = measure(run, small(), world());
    ASSERT_EQ(together.figures.size(), 5);
    if (!world().is_root()) continue;
    fs::remove_all(run.path() / "quality");
    SelfCommunicator self;
    const auto alone = measure(run, small(), self);
    for (size_t i = 0; i < alone.figures.size(); ++i) {
      const double value = alone.figures[i].value;
      EXPECT_EQ(together.figures[i].name(), alone.figures[i].name());
      EXPECT_NEAR(together.figures[i].value, value, 1e-10 * (1 + std::abs(value)));
    }
    EXPECT_TRUE(together.generated.equal(alone.generated));
  }
}

// Each figure against its formula on the features of all images at once.
TEST(Quality, FiguresAreThoseOfTheFeatures) {
  TinyRun run(world());
  const auto config = small();
  const auto result = measure(run, config, world());
  auto context = run.context(world(), "quality");
  const ImageSet images(context.images_file());
  const auto network = make_feature_network(config, context);
  GeneratedImages source(generator_of(run), images, config, context);
  const auto rows = images.indices(Split::train);
  const auto real = network->features(images.read(rows)),
             generated = network->features(source.pixels(indices_of({0, 23})));
  ASSERT_EQ(generated.sizes(), (std::vector<int64_t>{23, 32}));

  const auto& f = result.figures;
  const double frechet = frechet_distance(moments(real, 0), moments(generated, 0));
  EXPECT_EQ(f[0].name(), "frechet_distance[classifier-features]");
  EXPECT_NEAR(f[0].value, frechet, 1e-10 * frechet);
  EXPECT_GT(f[0].value, 0);
  SelfCommunicator self;
  EXPECT_EQ(f[1].name(), "kernel_distance[classifier-features]");
  EXPECT_NEAR(f[1].value, kernel_distance(real, generated, {5, 8, 5}, self).mean, 1e-12);
  const auto both = precision_recall(real, generated, 2, self);
  EXPECT_EQ(f[2].metric, "precision");
  EXPECT_EQ(f[2].value, both.precision);
  EXPECT_EQ(f[3].metric, "recall");
  EXPECT_EQ(f[3].value, both.recall);
  const auto [from, to] = source.steps_in_w(indices_of({0, 23}), 1e-4);
  EXPECT_EQ(f[4].metric, "path_length");
  const double path = mean_without_tails(network->squared_distances(from, to) / 1e-8);
  EXPECT_NEAR(f[4].value, path, 1e-6 * path);
  EXPECT_GT(path, 0);
  for (const auto& figure : f) {
    EXPECT_EQ(figure.generated, 23);
    EXPECT_EQ(figure.real, figure.metric == "path_length" ? 0 : static_cast<int64_t>(rows.size()));
  }
  ASSERT_EQ(result.warnings.size(), 1);
  EXPECT_THAT(result.warnings[0], HasSubstr("16 training images for 32 features"));
}

// A network of this name, with fewer features than the published one: its distances take no time.
class NamedNetwork final : public FeatureNetwork {
 public:
  using FeatureNetwork::FeatureNetwork;

 protected:
  torch::Tensor run(const torch::Tensor& pixels) override {
    return torch::adaptive_avg_pool2d(pixels.to(torch::kDouble), {2, 2}).flatten(1);
  }
};

TEST(Quality, OnlyInceptionIsCalledFid) {
  TinyRun run(world());
  auto config = small();
  config.figures = {"fd", "kid"};
  auto context = run.context(world(), "quality");
  const ImageSet images(context.images_file());
  for (const auto& [features, frechet, kernel] :
       {std::tuple{"quarters.pt", "frechet_distance[quarters.pt]", "kernel_distance[quarters.pt]"},
        {"inception", "fid", "kid"}}) {
    NamedNetwork network(features, (run.path() / artifacts::classifier).string());
    QualityMeter meter(config, images, network, context);
    const auto result = meter.measure(generator_of(run));
    EXPECT_EQ(result.figures[0].name(), frechet);
    EXPECT_EQ(result.figures[1].name(), kernel);
    EXPECT_TRUE(result.warnings.empty()) << result.warnings[0];
  }
}

TEST(Quality, MeasuresWithFilesOfNetworks) {
  TinyRun run(world());
  auto config = small();
  config.figures = {"kid"};
  for (const auto& [features, forward, name] :
       {std::tuple{"script", testing_support::kQuarters, "kernel_distance[script.pt]"},
        {"inception", testing_support::kInception, "kid"}}) {
    config.features = features;
    config.feature_file = (run.path() / (std::string(features) + ".pt")).string();
    if (world().is_root()) testing_support::save_script(config.feature_file, forward);
    world().barrier();
    EXPECT_EQ(measure(run, config, world()).figures[0].name(), name);
  }
}

TEST(Quality, FeaturesOfTrainingImagesAreKept) {
  TinyRun run(world());
  auto config = small();
  config.figures = {"fd"};
  const double first = measure(run, config, world()).figures[0].value;
  ASSERT_EQ(cached(run).size(), 1);
  EXPECT_EQ(measure(run, config, world()).figures[0].value, first);
  // What is kept is what is used: other numbers there give another figure.
  const auto file = cached(run)[0];
  world().barrier();
  if (world().is_root()) {
    auto content = read_safetensors(file);
    for (auto& [name, tensor] : content.tensors) {
      tensor = tensor + 1;
      content.metadata["sha256"] = sha256_of(
          std::string_view(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()));
    }
    write_safetensors(file, content);
  }
  world().barrier();
  EXPECT_GT(measure(run, config, world()).figures[0].value, first + 1);
  // Numbers that are not those that were written, and a damaged file, are made again.
  world().barrier();
  if (world().is_root()) {
    auto content = read_safetensors(file);
    for (auto& [name, tensor] : content.tensors) tensor = tensor + 1000;
    write_safetensors(file, content);
  }
  world().barrier();
  EXPECT_EQ(measure(run, config, world()).figures[0].value, first);
  world().barrier();
  if (world().is_root()) std::ofstream(file) << "damaged";
  world().barrier();
  EXPECT_EQ(measure(run, config, world()).figures[0].value, first);
  // Other images to compare with are another file.
  config.real_images = 9;
  EXPECT_EQ(measure(run, config, world()).figures[0].real, 9);
  EXPECT_EQ(cached(run).size(), 2);
}

TEST(Quality, AnImageIsTheSameInEveryBatch) {
  TinyRun run(world());
  auto context = run.context(world(), "quality");
  const ImageSet images(context.images_file());
  GeneratedImages source(generator_of(run), images, small(), context);
  const auto three = source.pixels({7, 2, 9});
  EXPECT_TRUE(source.pixels({2})[0].equal(three[1]));
  EXPECT_FALSE(three[0].equal(three[1]));
  // Ends of no step at all are one image; real ones differ, and by little.
  const auto [a, b] = source.steps_in_w({4}, 0);
  EXPECT_TRUE(a.equal(b));
  const auto [c, d] = source.steps_in_w({4}, 1e-4);
  const double step = (c - d).abs().max().item<double>();
  EXPECT_GT(step, 0);
  EXPECT_LT(step, 1);
  auto other = small();
  other.psi = 0;
  other.noise = "constant";
  GeneratedImages average(generator_of(run), images, other, context);
  EXPECT_TRUE(average.pixels({0})[0].equal(average.pixels({1})[0]));
}

TEST(Quality, NamesWhatDoesNotFit) {
  TinyRun run(world());
  auto context = run.context(world(), "quality");
  GeneratorOptions options = generator_of(run)->options();
  options.resolution = 32;
  Generator larger(options);
  initialize(larger, 1);
  larger->to(torch::kFloat64);
  const ImageSet images(context.images_file());
  EXPECT_THROW(GeneratedImages(larger, images, small(), context), Error);
  auto config = small();
  const auto network = make_feature_network(config, context);
  EXPECT_THROW(network->features(torch::zeros({2, 1, 32, 32}, torch::kUInt8)), Error);
  EXPECT_THROW(network->features(torch::zeros({2, 3, 16, 16}, torch::kUInt8)), Error);
  config.neighbours = 40;
  EXPECT_THROW(measure(run, config, world()), Error);
  auto elsewhere = context;
  elsewhere.run_dir = run.path() / "nowhere";
  EXPECT_THROW(make_feature_network(small(), elsewhere), Error);
}

TEST(PathLength, LeavesTheTailsOut) {
  auto distances = torch::arange(201, torch::kDouble).flip(0).contiguous();
  EXPECT_DOUBLE_EQ(mean_without_tails(distances), 100);  // of 2..198
  distances[0] = 1e12;                                   // was 200
  EXPECT_DOUBLE_EQ(mean_without_tails(distances), 100);
  EXPECT_DOUBLE_EQ(mean_without_tails(torch::tensor({1.0, 5.0, 3.0})), 3);
}

TEST(QualityReport, SaysWhatEachFigureHangsOn) {
  if (!world().is_root()) return;
  SelfCommunicator self;
  TinyRun run(self);
  auto context = run.context(self, "out");
  const ImageSet images(context.images_file());
  QualityReport report;
  report.config = small();
  report.features = "quarters.pt";
  report.features_sha256 = "0123456789abcdef";
  report.seed = 77;
  QualityFigure figure;
  figure.metric = "frechet_distance";
  figure.value = 1.25;
  figure.features = "quarters.pt";
  figure.real = 16;
  figure.generated = 23;
  report.result.figures = {figure};
  report.result.warnings = {"few <images>"};
  GeneratedImages source(generator_of(run), images, report.config, context);
  Memorisation found;
  for (int64_t i = 0; i < 10; ++i) found.suspects.push_back({i, i, i + 1, 0.5, 1, 0.5, 0.25});
  report.memorisation = memorisation_report(found, source, images, images.indices(Split::train), 4);
  write_quality_report(report, context.out_dir);

  std::ifstream in(context.out_dir / "quality.json");
  const auto json = nlohmann::json::parse(in);
  const auto& row = json.at("figures").at(0);
  EXPECT_EQ(row.at("name"), "frechet_distance[quarters.pt]");
  EXPECT_EQ(row.at("images_real"), 16);
  EXPECT_EQ(row.at("images_generated"), 23);
  EXPECT_EQ(row.at("seed"), 77);
  EXPECT_EQ(row.at("features_sha256"), "0123456789abcdef");
  const auto& suspect = json.at("memorisation").at("suspects").at(1);
  EXPECT_EQ(suspect.at("path"), images.record(images.indices(Split::train)[1]).path);
  EXPECT_THAT(quality_csv(report), HasSubstr("frechet_distance,1.25,,\"quarters.pt\","));
  EXPECT_THAT(quality_page(report), HasSubstr("few &lt;images&gt;"));
  EXPECT_THAT(quality_table(report), HasSubstr("seed 77"));
  // 8 columns; two blocks of three rows.
  const auto sheet = read_picture(context.out_dir / "memorisation.png", 1);
  EXPECT_EQ(sheet.sizes(), (std::vector<int64_t>{1, 6 * 16, 8 * 16}));
  EXPECT_TRUE(sheet[0].slice(0, 16, 32).slice(1, 0, 16).equal(report.memorisation->nearest[0][0]));
  EXPECT_TRUE(sheet[0].slice(0, 64, 80).slice(1, 16, 32).equal(report.memorisation->nearest[9][0]));
}

}  // namespace
}  // namespace stylescope
