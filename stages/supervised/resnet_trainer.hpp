#pragma once

#include "distributed/communicator.hpp"
#include "distributed/gradient_reducer.hpp"
#include "distributed/work_partition.hpp"
#include "stages/networks/resnet.hpp"
#include "stages/training/flat_parameters.hpp"
#include "stages/training/optimizer.hpp"
#include "stages/training/training_loop.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// The loss of one group: sums over its samples, scalars on any device. The step's loss is sum /
// weight over all groups of all ranks, and so is its gradient.
struct GroupLoss {
  torch::Tensor sum;     // with its graph
  torch::Tensor weight;  // what the samples count, together (their number, or their class weights)
  torch::Tensor
      correct;  // how many answers were right; undefined where there is no right and wrong
};

struct StepFigures {
  double loss = 0;
  double accuracy = 0;     // correct / batch
  int64_t non_finite = 0;  // gradients that were no finite numbers and were replaced
};

// Data-parallel training of a ResNet, with the same result on any number of ranks: the global batch
// is cut into consecutive groups of fixed size, dealt whole to ranks; each goes through the network
// by itself (its own batch-norm statistics), and losses, gradients and running statistics are
// summed over all groups of all ranks. A rank without a group adds zeros.
class ResNetTrainer {
 public:
  // Takes over the network's parameters (FlatParameters). `batch` is a multiple of `group`.
  ResNetTrainer(
      ResNet network, Communicator& world, int64_t batch, int64_t group,
      const std::function<std::unique_ptr<Optimizer>(const FlatParameters&)>& make_optimizer,
      const ReducerOptions& reduction = {});

  // This rank's samples of the global batch: positions in 0..batch-1, whole groups, may be empty.
  IndexRange local_samples() const { return local_; }
  // One step. `inputs`: the local samples, prepared (undefined where there are none); `loss` is
  // called with a group's outputs and its rows among the local samples. Throws Error when the loss
  // is no finite number. Collective.
  StepFigures step(
      const torch::Tensor& inputs, double learning_rate,
      const std::function<GroupLoss(const torch::Tensor& outputs, IndexRange rows)>& loss);

  // Everything that a step changes.
  void register_with(TrainingLoop& loop);
  ResNet& network() { return network_; }
  const FlatParameters& parameters() const { return parameters_; }
  GradientReducer& reducer() { return reducer_; }

 private:
  torch::Tensor accumulate_gradients(
      const torch::Tensor& inputs,
      const std::function<GroupLoss(const torch::Tensor&, IndexRange)>& loss);

  ResNet network_;
  Communicator& world_;
  int64_t batch_, group_;
  IndexRange local_;
  FlatParameters parameters_;
  GradientReducer reducer_;
  std::unique_ptr<Optimizer> optimizer_;
};

// A copy of a network's parameters and buffers that is part of the checkpoint: the best weights so
// far.
class KeptWeights {
 public:
  explicit KeptWeights(ResNetTrainer& trainer);
  void register_with(TrainingLoop& loop);
  void keep();     // copy <- network
  void restore();  // network <- copy

 private:
  ResNetTrainer& trainer_;
  torch::Tensor parameters_;
  std::vector<std::pair<std::string, torch::Tensor>> buffers_;
};

}  // namespace stylescope
