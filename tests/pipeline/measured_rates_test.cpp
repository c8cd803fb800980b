// Work and bytes counted from a configuration; rates read from made-up records and reports.
#include "pipeline/measured_rates.hpp"

#include "io/base/error.hpp"
#include "io/stage_state.hpp"
#include "pipeline/estimate.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>

#include <gmock/gmock.h>

namespace stylescope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing_support::TempDir;

// A configuration of tiny networks, and run directories made up for it.
class EstimateOfRun : public testing::Test {
 protected:
  static constexpr const char* kTiny =
      "seed: 1\n"
      "ingest: {resolution: 16, phantom: {subjects: 60, images_per_subject: 2}}\n"
      "classifier: {depth: 18, stem: small, width: 4, epochs: 4, batch: 32}\n"
      "gan: {kimg: 1.28, batch: 16, z_dim: 8, w_dim: 8, channel_base: 128, channel_max: 8}\n"
      "synthesize: {samples: 400, batch: 50}\n"
      "encoder: {depth: 18, stem: small, width: 4, epochs: 3, batch: 32}\n"
      "explain: {images: 4, steps: 5, targets: [0.1, 0.9]}\n";

  Config load(const std::string& name, const std::string& text) {
    const fs::path file = dir_ / name / "config.yaml";
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text << "run_dir: " << (dir_ / name).string() << "\n";
    return load_config(file, {});
  }
  void record(const std::string& name, const std::string& stage, const json& record) {
    const fs::path folder = dir_ / name / stage;
    fs::create_directories(folder);
    std::ofstream(folder / "stage.json") << record.dump();
  }
  MeasuredRates rates_of(const std::string& name, Config& ours) {
    const auto images = known_images(ours, RunDirectory(ours.run_dir), true);
    std::vector<StageWork> work;
    for (const auto& stage : stages_of(ours)) work.push_back(stage_work(ours, stage.name, images));
    PassCosts costs(networks_of(ours));
    MeasuredRates rates;
    EXPECT_TRUE(add_run(rates, dir_ / name, {ours, work, costs}));
    return rates;
  }
  static json gan_record() {
    return {{"world_size", 2},
            {"threads", 3},
            {"device", "cpu"},
            {"sessions", 1},
            {"wall_seconds", 20},
            {"metrics",
             {{"images_per_second", 80},
              {"steps", 80},
              {"reduction_exposed_seconds", 4},
              {"reduction_hidden", 0.5}}}};
  }

  TempDir dir_;
};

TEST_F(EstimateOfRun, CountsTheWorkFromTheConfiguration) {
  Config config = load("a", kTiny);
  const auto images = known_images(config, RunDirectory(config.run_dir), true);
  EXPECT_EQ(images.all.value, 120);
  EXPECT_EQ(images.train.value, 84);
  const auto amount = [&](const char* stage) { return stage_work(config, stage, images).amount; };
  EXPECT_EQ(amount("gan").value, 1280);
  EXPECT_EQ(amount("classifier").value, 11 * 32);  // 4 epochs of 84, in whole steps
  EXPECT_EQ(amount("encoder").value, 34 * 32);     // 3 epochs of 360
  EXPECT_EQ(amount("synthesize").value, 400);
  EXPECT_EQ(amount("explain").value, 4);
  EXPECT_EQ(stage_work(config, "gan", images).pieces, 4);
}

// As often as the training loop itself does.
TEST_F(EstimateOfRun, ValidatesAtTheEndOfEveryEpoch) {
  Config config = load("a", kTiny);
  const auto images = known_images(config, RunDirectory(config.run_dir), true);
  ASSERT_EQ(images.val.value, 18);
  const auto validated = [&] {
    return *stage_work(config, "classifier", images).beside.at(0).images.value / 18;
  };
  EXPECT_EQ(validated(), 4);  // 11 steps of 32 images of 84
  auto& c = config.classifier;
  for (c.batch = 4; c.batch <= 400; c.batch += 12)
    for (c.steps = 0; c.steps < 30; c.steps += 7) {
      double epochs = 0;
      for (int64_t step = 0; step < c.total_steps(84); ++step) epochs += c.ends_epoch(step, 84);
      EXPECT_EQ(validated(), epochs) << c.batch << " " << c.steps;
    }
}

TEST_F(EstimateOfRun, ImagesThatNobodyHasMadeYetAreUnknown) {
  std::string tiles = kTiny;
  const size_t ingest = tiles.find("ingest:");
  tiles.replace(ingest, tiles.find('\n', ingest) - ingest,
                "images: tile\ntile: {source: phantom, tile_px: 16}");
  Config config = load("a", tiles);
  const auto images = known_images(config, RunDirectory(config.run_dir), true);
  EXPECT_EQ(images.slides.value, 12);
  EXPECT_FALSE(images.train.value);
  const auto work = stage_work(config, "classifier", images);
  EXPECT_FALSE(work.amount.value);
  EXPECT_EQ(work.amount.how, "unknown until images.h5 is there");
  record("a", "tile", {{"metrics", {{"images", 500}, {"train_images", 320}}}});
  const auto made = known_images(config, RunDirectory(config.run_dir), false);
  EXPECT_EQ(stage_work(config, "classifier", made).amount.value, 40 * 32);
}

TEST_F(EstimateOfRun, BytesFollowFromTheSameNumbers) {
  Config config = load("a", kTiny);
  const auto images = known_images(config, RunDirectory(config.run_dir), true);
  const NetworkSizes sizes{{1000, 10}, {2000, 20}, {300, 3}, {400, 4}};
  const auto disk = [&](const char* stage, size_t item) {
    return *stage_disk(config, stage, images, sizes).at(item).bytes.value;
  };
  EXPECT_EQ(disk("ingest", 0), 120 * 256);
  EXPECT_EQ(disk("synthesize", 0), 400 * (256 + 8 * 4 + 8));
  EXPECT_EQ(disk("gan", 0), 3030 * 4);
  EXPECT_EQ(disk("gan", 1), 5 * 1010 * 4);
  // The grids again in the event file; beside the checkpoints four anchors at most.
  EXPECT_EQ(disk("gan", 2), (2 * 20 + 2) * 32 * 256);
  EXPECT_EQ(disk("gan", 3), (3 + 4) * (4 * 1000 + 3 * 2000 + 2 * 10) * 4);
  EXPECT_EQ(disk("encoder", 1), 3 * (404 + 2 * 400) * 4);
  EXPECT_EQ(disk("classifier", 1), 3 * (2 * 303 + 2 * 300) * 4);
}

TEST_F(EstimateOfRun, TilesAreShardsBesideTheirSlides) {
  Config config = load("a", kTiny);
  config.images = "tile";
  config.tile.source = "phantom";
  config.tile.phantom.slides = 2;
  config.tile.phantom.slide.width = 100, config.tile.phantom.slide.height = 10;
  KnownImages images;
  images.all = {50, false, ""};
  const auto disk = stage_disk(config, "tile", images, {});
  ASSERT_EQ(disk.size(), 2u);
  EXPECT_EQ(disk[0].what, "shards of images.h5");
  EXPECT_EQ(disk[1].what, "drawn slides");
  EXPECT_EQ(disk[1].bytes.value, 2 * 100 * 10 * 4);
  EXPECT_TRUE(disk[1].bytes.at_most);
  config.tile.source = "slides";
  EXPECT_EQ(stage_disk(config, "tile", images, {}).size(), 1u);
}

TEST_F(EstimateOfRun, NcclDoesNotTellWaitingApart) {
  Config config = load("a", kTiny);
  load("b", kTiny);
  auto gan = gan_record();
  gan["metrics"].erase("reduction_exposed_seconds");
  record("b", "gan", gan);
  EXPECT_TRUE(rates_of("b", config).stages.at("gan").waiting_inside);
  EXPECT_EQ(rates_of("b", config).stages.at("gan").efficiency, 1);
  gan["world_size"] = 1;
  record("b", "gan", gan);
  EXPECT_FALSE(rates_of("b", config).stages.at("gan").waiting_inside);
  auto twice = gan_record();
  twice["sessions"] = 2;
  record("b", "gan", twice);
  EXPECT_TRUE(rates_of("b", config).stages.at("gan").waiting_inside);
}

TEST_F(EstimateOfRun, TellsOtherPrecisionAndClasses) {
  Config config = load("a", kTiny);
  load("b", std::string(kTiny) + "precision: float64\n");
  record("b", "gan", gan_record());
  config.gan.conditional = true;
  const auto remarks = rates_of("b", config).stages.at("gan").remarks;
  EXPECT_THAT(remarks, Contains(HasSubstr("measured in float64, and this configuration is in")));
  EXPECT_THAT(remarks, Contains(HasSubstr("measured without classes (gan.conditional)")));
  load("b", kTiny);
  config.gan.conditional = false;
  EXPECT_THAT(rates_of("b", config).stages.at("gan").remarks, Each(Not(HasSubstr("measured"))));
}

TEST_F(EstimateOfRun, ReadsRatesFromRecords) {
  Config config = load("a", kTiny);
  load("b", kTiny);
  record("b", "gan", gan_record());
  record("b", "synthesize",
         {{"world_size", 1}, {"sessions", 1}, {"wall_seconds", 5}, {"metrics", json::object()}});
  record("b", "direction",
         {{"world_size", 1}, {"sessions", 2}, {"wall_seconds", 5}, {"metrics", json::object()}});
  const auto rates = rates_of("b", config);
  const auto& gan = rates.stages.at("gan");
  EXPECT_EQ(gan.per_second, 80);
  EXPECT_EQ(gan.ranks, 2);
  EXPECT_EQ(gan.threads, 3);
  EXPECT_EQ(gan.factor, 1);
  EXPECT_DOUBLE_EQ(gan.efficiency, 0.75);  // 4 of 16 s: 1280 images at 80 a second
  EXPECT_EQ(gan.hidden_share, 0.5);
  EXPECT_FALSE(gan.waiting_inside);
  EXPECT_DOUBLE_EQ(gan.outside_seconds, 4);  // 20 s, 16 of them on steps
  EXPECT_EQ(rates.stages.at("synthesize").per_second, 80);
  // The wall time of a stage is that of its last session.
  EXPECT_FALSE(rates.stages.contains("direction"));
  EXPECT_THAT(rates.notes, Contains(HasSubstr("several sessions")));
  EXPECT_FALSE(rates.stages.contains("encoder"));
}

TEST_F(EstimateOfRun, ScalesOtherNetworksByTheirOperations) {
  Config config = load("a", kTiny);
  std::string wider = kTiny;
  wider.replace(wider.find("channel_base: 128, channel_max: 8"), 33,
                "channel_base: 256, channel_max: 16");
  Config other = load("b", wider);
  record("b", "gan", gan_record());
  const auto rates = rates_of("b", config);
  PassCosts ours(networks_of(config)), theirs(networks_of(other));
  const double factor = theirs.operations(Pass::gan_step) / ours.operations(Pass::gan_step);
  EXPECT_GT(factor, 2);
  EXPECT_LT(factor, 5);
  EXPECT_DOUBLE_EQ(rates.stages.at("gan").factor, factor);
  EXPECT_THAT(rates.stages.at("gan").remarks, Contains(HasSubstr("GFLOP there")));
}

TEST_F(EstimateOfRun, ReadsRatesOfAStageUnderWay) {
  Config config = load("a", kTiny);
  const fs::path partial = dir_ / "a" / "gan.partial";
  fs::create_directories(partial);
  std::ofstream(partial / "resume.json")
      << json{{"key", 1}, {"situation", {{"world_size", 4}, {"threads", 2}}}}.dump();
  write_state(partial / progress_file_name(), StageProgress{"gan", 20, 80, 123.5, "img", 1, 0, {}});
  const auto rates = rates_of("a", config);
  EXPECT_EQ(rates.stages.at("gan").per_second, 123.5);
  EXPECT_EQ(rates.stages.at("gan").ranks, 4);
}

TEST_F(EstimateOfRun, AFolderWithoutAConfigurationIsNoRun) {
  Config config = load("a", kTiny);
  PassCosts costs(networks_of(config));
  MeasuredRates rates;
  EXPECT_FALSE(add_run(rates, dir_ / "nowhere", {config, {}, costs}));
}

TEST_F(EstimateOfRun, ReadsTheNetworkFromReports) {
  Config config = load("a", kTiny);
  PassCosts costs(networks_of(config));
  const std::vector<StageWork> none;
  const OurWork ours{config, none, costs};
  const NetworkModel network{2e-6, 1e-10};
  json rows = json::array();
  for (double bytes = 256; bytes < 1e8; bytes *= 16)
    rows.push_back({{"collective", "all_reduce"},
                    {"bytes", bytes},
                    {"in_time", 1e6 * all_reduce_seconds(network, bytes, 4)}});
  json report{{"benchmark", "comm"}, {"ranks", 4}, {"rows", rows}};
  MeasuredRates comm;
  add_report(comm, report, "comm.json", ours);
  EXPECT_NEAR(comm.network->latency / network.latency, 1, 1e-3);
  EXPECT_NEAR(comm.network->seconds_per_byte / network.seconds_per_byte, 1, 1e-3);

  const auto sizes = network_sizes(costs.networks());
  report = {{"benchmark", "scale"},
            {"ranks", 2},
            {"args",
             {{"resolution", 16},
              {"gan_parameters", sizes.generator.parameters + sizes.discriminator.parameters}}},
            {"tables", {{"model", {{"rows", {{{"latency", 5}, {"bandwidth", 2}}}}}}}},
            {"rows",
             {{{"name", "GAN step"},
               {"scaling", "one rank"},
               {"ranks", 1},
               {"batch", 16},
               {"compute", 32}},
              {{"name", "GAN step"},
               {"scaling", "weak"},
               {"ranks", 2},
               {"batch", 32},
               {"compute", 48},
               {"hidden_share", 25}},
              {{"name", "GAN step"},
               {"scaling", "strong"},
               {"ranks", 2},
               {"batch", 16},
               {"compute", 20}}}}};
  MeasuredRates scale;
  add_report(scale, report, "scale.json", ours);
  EXPECT_DOUBLE_EQ(scale.network->latency, 5e-6);
  EXPECT_DOUBLE_EQ(scale.network->seconds_per_byte, 0.5e-9);
  EXPECT_DOUBLE_EQ(scale.passes.at(Pass::gan_step).seconds, 0.003);  // 48 ms, 16 images
  EXPECT_THAT(scale.passes.at(Pass::gan_step).how,
              HasSubstr("32 images on 2 ranks (weak), 16 each, the row nearest to 16 a rank"));
  EXPECT_DOUBLE_EQ(scale.passes.at(Pass::gan_step).hidden_share, 0.25);
  EXPECT_EQ(scale.passes.at(Pass::gan_step).device, "cpu");
  EXPECT_FALSE(scale.passes.at(Pass::gan_step).waiting_inside);
  // Two ranks of ours have eight images each.
  const std::vector<StageWork> work{stage_work(config, "gan", KnownImages{})};
  report["device"] = "cuda:0";
  report["precision"] = "float64";
  MeasuredRates strong;
  add_report(strong, report, "scale.json", {config, work, costs, {{"gan", 2}}});
  const auto& step = strong.passes.at(Pass::gan_step);
  EXPECT_DOUBLE_EQ(step.seconds, 0.0025);  // 20 ms, 8 images
  EXPECT_THAT(step.how, HasSubstr("16 images on 2 ranks (strong), 8 each, the row nearest to 8"));
  EXPECT_THAT(step.how, HasSubstr("measured in float64, and this configuration is in float32"));
  EXPECT_EQ(step.device, "cuda");
  EXPECT_TRUE(step.waiting_inside);
  report["args"]["gan_parameters"] = 1;
  MeasuredRates others;
  add_report(others, report, "scale.json", ours);
  EXPECT_THAT(others.passes, IsEmpty());
  EXPECT_THAT(others.notes, Contains(HasSubstr("other networks")));

  for (const json& wrong : {json(), json{{"benchmark", "tile"}}, json{{"benchmark", "scale"}},
                            json{{"benchmark", "comm"}, {"ranks", 1}, {"rows", rows}}})
    EXPECT_THROW(add_report(scale, wrong, "x.json", ours), UsageError) << wrong;
}

TEST_F(EstimateOfRun, MeasuresHere) {
  Config config = load("a", kTiny);
  config.device = "cpu";
  const auto images = known_images(config, RunDirectory(config.run_dir), true);
  const std::vector<StageWork> work{stage_work(config, "gan", images),
                                    stage_work(config, "encoder", images)};
  PassCosts costs(networks_of(config));
  MeasuredRates rates;
  rates.passes[Pass::encoder] = {0.5, "named before", "cuda"};
  add_here(rates, {config, work, costs, {{"gan", 2}, {"encoder", 1}}}, 0);
  for (const auto pass : {Pass::gan_step, Pass::encoder_step, Pass::encoder, Pass::generator})
    EXPECT_GT(rates.passes.at(pass).seconds, 0) << name_of(pass);
  EXPECT_THAT(rates.passes.at(Pass::gan_step).how, HasSubstr("8 at a time"));  // of 16 on 2 ranks
  EXPECT_TRUE(rates.passes.at(Pass::gan_step).rough);                          // one call of a kind
  EXPECT_EQ(rates.passes.at(Pass::gan_step).device, "cpu");
  EXPECT_EQ(rates.passes.at(Pass::encoder).device, "cuda");
}

TEST_F(EstimateOfRun, SourcesCountInTheOrderInWhichTheyAreNamed) {
  Config config = load("a", kTiny);
  const auto images = known_images(config, RunDirectory(config.run_dir), true);
  const std::vector<StageWork> work{stage_work(config, "gan", images)};
  PassCosts costs(networks_of(config));
  const OurWork ours{config, work, costs};
  const auto sizes = network_sizes(costs.networks());
  const json report = {
      {"benchmark", "scale"},
      {"ranks", 1},
      {"args",
       {{"resolution", 16},
        {"gan_parameters", sizes.generator.parameters + sizes.discriminator.parameters}}},
      {"rows",
       {{{"name", "GAN step"},
         {"scaling", "one rank"},
         {"ranks", 1},
         {"batch", 16},
         {"compute", 32}}}}};
  record("a", "gan", gan_record());
  MeasuredRates rates;
  add_report(rates, report, "scale.json", ours);
  add_run(rates, dir_ / "a", ours);
  EXPECT_LT(rates.passes.at(Pass::gan_step).source, rates.stages.at("gan").source);
  EXPECT_DOUBLE_EQ(*estimate_stage(work[0], JobShape(), rates).seconds, 1280 * 0.002);
}

TEST(StepMessages, AreThoseOfThePhases) {
  Config config;
  config.gan.batch = 16;
  auto networks = networks_of(config);
  double g = 0, d = 0;
  const auto sizes = network_sizes(networks);
  for (const auto& message : step_messages(networks, "gan", 4))
    (message.per_step == 1.25 ? g : d) += message.bytes;  // path length every 4th step
  EXPECT_EQ(g, 4.0 * static_cast<double>(sizes.generator.parameters));
  EXPECT_EQ(d, 4.0 * static_cast<double>(sizes.discriminator.parameters));
  networks.reduction.wire = "bfloat16";
  double half = 0;
  for (const auto& message : step_messages(networks, "encoder", 4)) half += message.bytes;
  EXPECT_EQ(half, 2.0 * static_cast<double>(sizes.encoder.parameters));
  EXPECT_THAT(step_messages(networks, "synthesize", 4), IsEmpty());
}

}  // namespace
}  // namespace stylescope
