#include "pipeline/config.hpp"
#include "pipeline/plan.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

// Keys that came later are no difference to runs that were made without them, until they are used.
TEST(StageKey, KeysThatCameLaterCountOnceTheyAreSet) {
  Config config;
  const auto key = [&] { return section_for_key(stages_of(config).front()); };
  EXPECT_FALSE(key().contains("dicom"));
  EXPECT_FALSE(key().contains("bit_depth"));
  EXPECT_TRUE(key().contains("max_bad_fraction"));
  EXPECT_TRUE(section_of(stages_of(config).front()).contains("dicom"));
  config.ingest.dicom.stretch = "full";
  config.ingest.bit_depth = "12";
  EXPECT_EQ(key().at("dicom").at("stretch"), "full");
  EXPECT_EQ(key().at("bit_depth"), "12");
}

// What the keys of a configuration that sets nothing held before any of those came: a run made then
// is up to date as long as these are its keys.
const std::map<std::string, std::string> kFirstKeys{
    {"ingest",
     "channels class_names max_bad_fraction path phantom.images_per_subject "
     "phantom.nuisance_correlation phantom.subjects resolution source split.halve_val "
     "split.mode split.test split.train split.val subject_regex"},
    {"classifier",
     "augment.brightness augment.contrast augment.flip_horizontal augment.flip_vertical "
     "augment.shift batch bn_group class_weight_list class_weights depth epochs init "
     "learning_rate momentum optimizer patience positive schedule stem steps warmup "
     "weight_decay width"},
    {"gan",
     "augment.interval augment.kimg augment.mode augment.operations.aniso "
     "augment.operations.brightness augment.operations.contrast augment.operations.cutout "
     "augment.operations.hue augment.operations.imgfilter augment.operations.lumaflip "
     "augment.operations.noise augment.operations.rotate augment.operations.rotate90 "
     "augment.operations.saturation augment.operations.scale augment.operations.xflip "
     "augment.operations.xfrac augment.operations.xint augment.p augment.pipe augment.target "
     "batch batch_per_rank channel_base channel_max clamp conditional d_architecture "
     "ema_kimg ema_ramp freeze_d init_discriminator init_generator kimg learning_rate "
     "mapping_layers mbstd_group metrics.batch metrics.every_kimg metrics.feature_file "
     "metrics.feature_input metrics.features metrics.figures metrics.images "
     "metrics.keep_best metrics.kid_subset_size metrics.kid_subsets metrics.neighbours "
     "metrics.noise metrics.psi metrics.real_images mirror noise path_length_decay "
     "path_length_interval path_length_shrink path_length_weight preset r1_gamma r1_interval "
     "sentinel.anchor_kimg sentinel.gradient_growth sentinel.learning_rate_factor "
     "sentinel.logit_gap sentinel.on sentinel.patience sentinel.retries snapshot_kimg "
     "snapshots_keep style_mixing w_avg_beta w_dim z_dim"},
    {"synthesize", "batch psi samples"},
    {"encoder",
     "augment.brightness augment.contrast augment.flip_horizontal augment.flip_vertical "
     "augment.shift batch bn_group depth epochs held_out init learning_rate momentum "
     "optimizer schedule standardize stem steps warmup weight_decay width"},
    {"direction", "batch c held_out threshold"},
    {"explain", "batch images indices lambda_sd split steps targets"},
    {"evaluate", "batch bootstrap phantom_images phantom_sd"},
    {"report", "title"}};

TEST(StageKey, OfAnOldConfigurationIsWhatItWas) {
  Config config;
  for (const auto& stage : stages_of(config)) {
    std::set<std::string> names, first;
    const auto flat = section_for_key(stage).flatten();
    for (const auto& [path, value] : flat.items()) {
      const auto numbered = path.rfind('/');
      const bool in_list = std::isdigit(static_cast<unsigned char>(path[numbered + 1])) != 0;
      auto name = path.substr(1, in_list ? numbered - 1 : std::string::npos);
      std::ranges::replace(name, '/', '.');
      names.insert(name);
    }
    std::istringstream words(kFirstKeys.at(stage.name));
    for (std::string word; words >> word;) first.insert(word);
    EXPECT_EQ(names, first) << stage.name;
  }
}

TEST(StageKey, OfAnFThatIsThereOnlyWhatItIsCounts) {
  Config config;
  const auto key = [&] {
    for (const auto& stage : stages_of(config))
      if (stage.name == "classifier") return section_for_key(stage);
    return nlohmann::json();
  };
  EXPECT_TRUE(key().contains("learning_rate"));
  EXPECT_FALSE(key().contains("kind"));
  config.classifier.black_box.kind = "command";
  config.classifier.black_box.command = {"python3", "f.py"};
  const auto before = key();
  EXPECT_EQ(before.at("command"), (std::vector<std::string>{"python3", "f.py"}));
  EXPECT_TRUE(before.contains("positive"));
  config.classifier.learning_rate *= 2;
  config.classifier.patience += 1;
  config.classifier.black_box.timeout = 1000;
  config.classifier.black_box.restarts = 9;
  EXPECT_EQ(key(), before);
  config.classifier.positive = {0};
  EXPECT_NE(key(), before);
}

}  // namespace
}  // namespace stylescope
