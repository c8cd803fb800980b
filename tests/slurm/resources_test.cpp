#include "slurm/resources.hpp"

#include "io/base/error.hpp"
#include "slurm/slurm_config.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

TEST(Resources, TimesAreReadAsSbatchReadsThem) {
  EXPECT_EQ(90 * 60, seconds_of("90", "t"));
  EXPECT_EQ(90 * 60 + 5, seconds_of("90:05", "t"));
  EXPECT_EQ(24 * 3600, seconds_of("24:00:00", "t"));
  EXPECT_EQ(2 * 86400 + 12 * 3600, seconds_of("2-12", "t"));
  EXPECT_EQ(86400 + 3600 + 2 * 60 + 3, seconds_of("1-1:02:03", "t"));
  EXPECT_EQ(0, seconds_of("", "t"));
  EXPECT_EQ(0, seconds_of("UNLIMITED", "t"));
  for (const char* wrong : {"1h", "1:2:3:4", "-5", "x-1", "1-", ":", "1::2"})
    EXPECT_THROW(seconds_of(wrong, "t"), UsageError) << wrong;
}

TEST(Resources, AStageStandsOverTheDefaultsOverTheSite) {
  Resources site;
  site.gpus_per_node = 4;
  site.tasks_per_node = 4;
  site.partition = "gpu";
  site.options = {"--exclusive"};
  SlurmConfig config;
  config.defaults.time = "1:00:00";
  config.defaults.partition = "long";
  config.stages["gan"].nodes = 2;
  config.stages["gan"].options = {"--nice=10"};
  config.stages["report"].tasks = 1;
  config.stages["report"].gpus_per_task = 1;

  const auto gan = config.of("gan", site);
  EXPECT_EQ(8, gan.rank_count());
  EXPECT_EQ(8, gan.gpu_count());
  EXPECT_EQ("1:00:00", gan.time);
  EXPECT_EQ("long", gan.partition);
  EXPECT_EQ((std::vector<std::string>{"--exclusive", "--nice=10"}), gan.options);
  // One task is one task, whatever a node of this site has.
  const auto report = config.of("report", site);
  EXPECT_EQ(1, report.rank_count());
  EXPECT_EQ(1, report.gpu_count());
  EXPECT_EQ(4, config.of("encoder", site).rank_count());
}

TEST(Resources, ContradictionsAreRefused) {
  const auto refused = [](auto change) {
    Resources r;
    change(r);
    EXPECT_THROW(r.check("slurm.stages.gan"), UsageError);
  };
  refused([](Resources& r) { r.nodes = 2, r.tasks_per_node = 4, r.tasks = 7; });
  refused([](Resources& r) { r.nodes = 4, r.tasks = 2; });
  refused([](Resources& r) { r.gpus_per_node = 1, r.gpus_per_task = 1; });
  refused([](Resources& r) { r.time = "soon"; });
}

}  // namespace
}  // namespace stylescope
