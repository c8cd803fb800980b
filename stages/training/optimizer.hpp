#pragma once

#include "stages/training/flat_parameters.hpp"

#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// Optimizers over a flat buffer. Every parameter takes part in every step, also where its gradient
// is zero.
namespace stylescope {

// Gradients that are not finite: NaN -> 0, +inf -> 1e5, -inf -> -1e5 (StyleGAN2-ADA training loop).
// Returns how many there were: the caller counts and reports them.
int64_t sanitize_gradients(const torch::Tensor& gradients);

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One step with the gradients that lie in the flat buffer.
  virtual void step(FlatParameters& parameters, double learning_rate) = 0;
  // What a checkpoint must hold, by name; written in place when a checkpoint is loaded.
  virtual std::vector<std::pair<std::string, torch::Tensor>> state() = 0;
};

// Adam (Kingma and Ba 2015, algorithm 1) with bias correction. `weight_decay` > 0: decoupled
// (AdamW, Loshchilov and Hutter 2019).
class Adam final : public Optimizer {
 public:
  Adam(const FlatParameters& parameters, double beta1, double beta2, double epsilon,
       double weight_decay = 0);
  void step(FlatParameters& parameters, double learning_rate) override;
  std::vector<std::pair<std::string, torch::Tensor>> state() override;

 private:
  double beta1_, beta2_, epsilon_, weight_decay_;
  torch::Tensor mean_, square_, steps_;
};

// Stochastic gradient descent with momentum (PyTorch's form: v <- m v + g, w <- w - lr v) and L2
// weight decay in g.
class Sgd final : public Optimizer {
 public:
  Sgd(const FlatParameters& parameters, double momentum, double weight_decay);
  void step(FlatParameters& parameters, double learning_rate) override;
  std::vector<std::pair<std::string, torch::Tensor>> state() override;

 private:
  double momentum_, weight_decay_;
  torch::Tensor velocity_, steps_;
};

}  // namespace stylescope
