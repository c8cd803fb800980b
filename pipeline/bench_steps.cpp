#include "pipeline/bench_steps.hpp"

#include "distributed/random.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace stylescope {
namespace {

// So small that the networks stay as they start, however long it takes; no kernel is faster for it.
constexpr double kLearningRate = 1e-7;

torch::TensorOptions tensors(const Launch& at) { return torch::dtype(at.dtype).device(at.device); }

}  // namespace

int64_t disagreement(Communicator& world, const torch::Tensor& values) {
  const double sum = values.to(torch::kFloat64).sum().item<double>();
  return world.all_reduce(sum, ReduceOp::max) == world.all_reduce(sum, ReduceOp::min) ? 0 : 1;
}

GanSteps::GanSteps(const BenchNetworks& networks, int64_t batch, Communicator& world,
                   const Launch& at, Laps* laps)
    : world_(world), config_(networks.gan) {
  config_.batch = batch;
  config_.learning_rate = kLearningRate;
  find_kinds();
  Generator generator(networks.generator), average(networks.generator);
  Discriminator discriminator(networks.discriminator);
  initialize(generator, 0);
  initialize(average, 0);
  initialize(discriminator, 0);
  generator->to(at.device, at.dtype);
  average->to(at.device, at.dtype);
  discriminator->to(at.device, at.dtype);
  const auto& images = networks.generator;
  keyed_ = std::make_unique<KeyedGanDraws>(0, images, config_.style_mixing, true, tensors(at));
  if (laps) timed_ = std::make_unique<TimedDraws>(*keyed_, *laps);
  GanDraws& draws = laps ? static_cast<GanDraws&>(*timed_) : *keyed_;
  trainer_ = std::make_unique<GanTrainer>(config_, generator, discriminator, average, world, draws,
                                          augmentation_, networks.reduction);
  reals_.images =
      keyed_uniform({0, "bench.train.images", 0}, trainer_->local_samples(),
                    {images.image_channels, images.resolution, images.resolution}, tensors(at)) *
          2 -
      1;
}

void GanSteps::find_kinds() {
  const int64_t path = config_.path_length_weight > 0 ? config_.path_length_interval : 0;
  const int64_t r1 = config_.r1_gamma != 0 ? config_.r1_interval : 0;
  const int64_t period = std::lcm(std::max<int64_t>(path, 1), std::max<int64_t>(r1, 1));
  for (int64_t step = period; step < 2 * period; ++step) {
    const Kind found{path > 0 && step % path == 0, r1 > 0 && step % r1 == 0, step, 0};
    auto kind = std::find_if(kinds_.begin(), kinds_.end(), [&](const Kind& known) {
      return known.path == found.path && known.r1 == found.r1;
    });
    if (kind == kinds_.end()) kind = kinds_.insert(kind, found);
    kind->share += 1 / static_cast<double>(period);
  }
}

std::vector<double> GanSteps::shares() const {
  std::vector<double> shares;
  for (const auto& kind : kinds_) shares.push_back(kind.share);
  return shares;
}

GanStepFigures GanSteps::step_number(int64_t number) {
  const auto figures = trainer_->step(number, reals_);
  wrong_ += figures.non_finite;
  if (!std::isfinite(figures.loss_g + figures.loss_d + figures.path_loss + figures.r1_loss))
    ++wrong_;
  return figures;
}

int64_t GanSteps::wrong() {
  return wrong_ + disagreement(world_, trainer_->generator_parameters().values()) +
         disagreement(world_, trainer_->discriminator_parameters().values());
}

ResNetSteps::ResNetSteps(const BenchNetworks& networks, int64_t batch, Communicator& world,
                         const Launch& at)
    : world_(world) {
  const auto& resnet = networks.resnets.at(0);
  const int64_t side = networks.generator.resolution;
  const int64_t group = largest_divisor(batch, resnet.group);
  groups_ = batch / group;
  ResNet network(resnet.network);
  initialize(network, 0, false);
  network->to(at.device, at.dtype);
  network->train_in(resnet.training_type);
  trainer_ = std::make_unique<ResNetTrainer>(
      network, world, batch, group,
      [](const FlatParameters& p) { return std::make_unique<Adam>(p, 0.9, 0.999, 1e-8); },
      networks.reduction);
  const auto local = trainer_->local_samples();
  std::vector<int64_t> samples(static_cast<size_t>(local.size()));
  std::iota(samples.begin(), samples.end(), local.begin);
  inputs_ = keyed_normal({0, "bench.train.resnet", 0}, samples,
                         {resnet.network.input_channels, side, side}, tensors(at));
  labels_ = torch::tensor(samples, torch::kInt64).remainder(resnet.network.outputs).to(at.device);
}

GroupLoss ResNetSteps::loss_of(const torch::Tensor& outputs, IndexRange rows) const {
  const auto right = labels_.slice(0, rows.begin, rows.end);
  return {torch::nll_loss(torch::log_softmax(outputs, 1), right, {}, at::Reduction::Sum),
          torch::full({}, static_cast<double>(rows.size()), outputs.options()),
          outputs.argmax(1).eq(right).sum()};
}

void ResNetSteps::step(size_t) {
  const auto figures = trainer_->step(
      inputs_, kLearningRate,
      [this](const torch::Tensor& outputs, IndexRange rows) { return loss_of(outputs, rows); });
  wrong_ += figures.non_finite + (std::isfinite(figures.loss) ? 0 : 1);
}

int64_t ResNetSteps::wrong() {
  return wrong_ + disagreement(world_, trainer_->parameters().values());
}

}  // namespace stylescope
