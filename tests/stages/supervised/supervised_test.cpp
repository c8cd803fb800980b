#include "io/base/error.hpp"
#include "stages/supervised/image_statistics.hpp"
#include "stages/supervised/resnet_trainer.hpp"
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

// One step of a small ResNet on made-up images and classes, by this config.
struct Trained {
  StepFigures figures;
  torch::Tensor gradients, parameters, running_mean, outputs;
};
Trained one_step(const SupervisedConfig& config, torch::Dtype dtype) {
  testing_support::TempDir dir;
  SelfCommunicator world;
  StopSignal stop;
  RunContext context{world, torch::kCPU, dtype, 3, dir.path(), dir.path(), stop};
  auto network = config.make_network(3, 4, context);
  ResNetTrainer trainer(network, world, config.batch, config.bn_group,
                        [&](const FlatParameters& p) { return config.make_optimizer(p); });
  auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
  const auto images = torch::randn({config.batch, 3, 16, 16}, generator, torch::kFloat32).to(dtype);
  const auto truth = torch::arange(config.batch).remainder(4);
  Trained result;
  result.figures = trainer.step(images, 0.01, [&](const torch::Tensor& outputs, IndexRange rows) {
    EXPECT_EQ(outputs.scalar_type(), dtype);
    const auto right = truth.slice(0, rows.begin, rows.end);
    return GroupLoss{torch::nll_loss(outputs.log_softmax(1), right, {}, at::Reduction::Sum),
                     torch::full({}, static_cast<double>(rows.size())), torch::zeros({})};
  });
  result.gradients = trainer.parameters().gradients().clone();
  result.parameters = trainer.parameters().values().clone();
  result.running_mean = network->batch_norms().front()->running_mean.clone();
  network->eval();
  torch::NoGradGuard no_grad;
  result.outputs = network(images);
  return result;
}

double cosine(const torch::Tensor& a, const torch::Tensor& b) {
  const auto x = a.to(torch::kFloat64), y = b.to(torch::kFloat64);
  return (x.dot(y) / (x.norm() * y.norm())).item<double>();
}

TEST(HalfPrecision, StaysCloseToFloat32AndKeepsItsWeightsInIt) {
  SupervisedConfig config;
  config.depth = 18;
  config.stem = "small";
  config.width = 8;
  config.batch = 16;
  config.bn_group = 8;
  config.optimizer = "sgd";
  config.weight_decay = 0;
  const auto whole = one_step(config, torch::kFloat32);
  config.half_precision = "bfloat16";
  const auto half = one_step(config, torch::kFloat32);
  for (const auto& tensor : {half.gradients, half.parameters, half.running_mean, half.outputs})
    EXPECT_EQ(tensor.scalar_type(), torch::kFloat32);
  EXPECT_NE(half.figures.loss, whole.figures.loss) << "bfloat16 was not used";
  EXPECT_NEAR(half.figures.loss, whole.figures.loss, 0.02 * whole.figures.loss);
  EXPECT_EQ(half.figures.non_finite, 0);
  EXPECT_GT(cosine(half.gradients, whole.gradients), 0.98);
  EXPECT_FALSE(torch::equal(half.gradients, whole.gradients));
  EXPECT_LT((half.running_mean - whole.running_mean).abs().max().item<double>(),
            0.03 * whole.running_mean.abs().max().item<double>());
  EXPECT_LT((half.outputs - whole.outputs).abs().max().item<double>(),
            0.05 * whole.outputs.abs().max().item<double>());
}

TEST(HalfPrecision, GoesWithFloat32Alone) {
  SupervisedConfig config;
  config.depth = 18;
  config.half_precision = "bfloat16";
  EXPECT_THROW(one_step(config, torch::kFloat64), Error);
}

}  // namespace
}  // namespace stylescope
