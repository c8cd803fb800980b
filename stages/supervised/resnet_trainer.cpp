#include "stages/supervised/resnet_trainer.hpp"

#include "io/base/error.hpp"

#include <cmath>

namespace stylescope {

ResNetTrainer::ResNetTrainer(
    ResNet network, Communicator& world, int64_t batch, int64_t group,
    const std::function<std::unique_ptr<Optimizer>(const FlatParameters&)>& make_optimizer,
    const ReducerOptions& reduction)
    : network_(std::move(network)),
      world_(world),
      batch_(batch),
      group_(group),
      parameters_(*network_),
      reducer_(world, parameters_.parameters(), parameters_.gradients(), reduction),
      optimizer_(make_optimizer(parameters_)) {
  SS_CHECK(group > 0 && batch % group == 0, "batch ", batch, ", group ", group);
  const auto groups = share_of(batch / group, world.rank(), world.size());
  local_ = {groups.begin * group, groups.end * group};
}

// Returns (sum of losses, of weights, of right answers) of the local groups.
torch::Tensor ResNetTrainer::accumulate_gradients(
    const torch::Tensor& inputs,
    const std::function<GroupLoss(const torch::Tensor&, IndexRange)>& loss) {
  const auto options = torch::dtype(torch::kFloat64).device(parameters_.values().device());
  auto sums = torch::zeros({3}, options);
  for (int64_t begin = 0; begin < local_.size(); begin += group_) {
    const IndexRange rows{begin, begin + group_};
    const auto group = loss(network_(inputs.slice(0, rows.begin, rows.end)), rows);
    if (rows.end == local_.size()) reducer_.arm();
    group.sum.backward();
    sums[0].add_(group.sum.detach().to(options));
    sums[1].add_(group.weight.to(options));
    if (group.correct.defined()) sums[2].add_(group.correct.to(options));
  }
  return sums;
}

StepFigures ResNetTrainer::step(
    const torch::Tensor& inputs, double learning_rate,
    const std::function<GroupLoss(const torch::Tensor&, IndexRange)>& loss) {
  network_->train();
  parameters_.zero_gradients();
  reducer_.begin();
  const auto sums = accumulate_gradients(inputs, loss);
  reducer_.finish();
  torch::NoGradGuard no_grad;
  world_.all_reduce(sums);
  const auto total = sums.cpu();
  StepFigures figures;
  figures.loss = total[0].item<double>() / total[1].item<double>();
  figures.accuracy = total[2].item<double>() / static_cast<double>(batch_);
  // The same sum on every rank: all leave, or none.
  validate(std::isfinite(figures.loss),
           "the training loss is no finite number any more (training diverged); lower the learning "
           "rate");

  auto gradients = parameters_.gradients();
  gradients.div_(total[1].item<double>());
  figures.non_finite = sanitize_gradients(gradients);
  optimizer_->step(parameters_, learning_rate);
  update_running_statistics(network_, local_.size() / group_,
                            [this](torch::Tensor& flat) { world_.all_reduce(flat); });
  return figures;
}

void ResNetTrainer::register_with(TrainingLoop& loop) {
  loop.add("parameters", parameters_.values());
  loop.add("optimizer", optimizer_->state());
  loop.add("reducer", reducer_);
  loop.add_buffers("network", *network_);
}

KeptWeights::KeptWeights(ResNetTrainer& trainer)
    : trainer_(trainer), parameters_(trainer.parameters().values().clone()) {
  for (const auto& buffer : trainer.network()->named_buffers())
    buffers_.emplace_back(buffer.key(), buffer.value().clone());
}

void KeptWeights::register_with(TrainingLoop& loop) {
  loop.add("best.parameters", parameters_);
  loop.add("best", buffers_);
}

void KeptWeights::keep() {
  torch::NoGradGuard no_grad;
  parameters_.copy_(trainer_.parameters().values());
  const auto now = trainer_.network()->named_buffers();
  for (auto& [name, copy] : buffers_) copy.copy_(now[name]);
}

void KeptWeights::restore() {
  torch::NoGradGuard no_grad;
  auto values = trainer_.parameters().values();
  values.copy_(parameters_);
  const auto now = trainer_.network()->named_buffers();
  for (const auto& [name, copy] : buffers_) {
    auto buffer = now[name];
    buffer.copy_(copy);
  }
}

}  // namespace stylescope
