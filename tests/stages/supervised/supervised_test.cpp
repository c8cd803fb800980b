#include "io/base/error.hpp"
#include "stages/supervised/image_statistics.hpp"
#include "stages/supervised/supervised_config.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

TEST(ImageStatistics, AreThoseOfTheSplitAlone) {
  testing_support::TempDir dir;
  const auto file = dir / "images.h5";
  const auto pixels = torch::randint(0, 256, {10, 3, 8, 8},
                                     at::make_generator<at::CPUGeneratorImpl>(5), torch::kUInt8);
  {
    ImageSetWriter writer(file, 3, 8, 8, {"0"}, "{}");
    for (int64_t i = 0; i < 10; ++i)
      writer.append(pixels[i], {0,
                                i < 6   ? Split::train
                                : i < 8 ? Split::val
                                        : Split::test,
                                "s" + std::to_string(i),
                                "p",
                                {}});
    writer.close();
  }
  SelfCommunicator world;
  const auto statistics = image_statistics(ImageSet(file), Split::train, world);
  const auto train = pixels.slice(0, 0, 6).to(torch::kFloat64);
  EXPECT_EQ(statistics.images, 6);
  EXPECT_LE((statistics.mean_image() - train.mean(0)).abs().max().item<double>(), 1e-12);
  for (int64_t c = 0; c < 3; ++c) {
    const auto channel = train.select(1, c) / 255;
    EXPECT_NEAR(statistics.mean()[static_cast<size_t>(c)], channel.mean().item<double>(), 1e-14);
    EXPECT_NEAR(statistics.stddev()[static_cast<size_t>(c)], channel.std(false).item<double>(),
                1e-13);
  }
}

TEST(SupervisedConfig, CountsStepsAndEpochs) {
  SupervisedConfig config;
  config.batch = 12;
  config.bn_group = 4;
  config.epochs = 2.5;
  EXPECT_EQ(config.total_steps(48), 10);
  std::vector<int64_t> ends;
  for (int64_t step = 0; step < 10; ++step)
    if (config.ends_epoch(step, 48)) ends.push_back(step);
  EXPECT_EQ(ends, (std::vector<int64_t>{3, 7, 9}));
  config.steps = 7;
  EXPECT_EQ(config.total_steps(48), 7);
  // A batch larger than the data set ends an epoch with every step.
  for (int64_t step = 0; step < 7; ++step) EXPECT_TRUE(config.ends_epoch(step, 5));
}

TEST(SupervisedConfig, RefusesWhatCannotBe) {
  SupervisedConfig config;
  EXPECT_NO_THROW(config.check_shared("encoder"));
  config.bn_group = 10;
  EXPECT_THROW(config.check_shared("encoder"), UsageError);
  config.bn_group = 16;
  config.depth = 20;
  EXPECT_THROW(config.check_shared("encoder"), UsageError);
  config.depth = 18;
  config.epochs = 0;
  EXPECT_THROW(config.check_shared("encoder"), UsageError);
}

}  // namespace
}  // namespace stylescope
