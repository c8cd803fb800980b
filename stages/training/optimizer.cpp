#include "stages/training/optimizer.hpp"

#include "stages/training/adam_kernel.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {

int64_t sanitize_gradients(const torch::Tensor& gradients) {
  int64_t count = 0;
  if (detail::adam_suits(gradients)) {
    count = detail::count_non_finite_cpu(gradients);
  } else if (!std::isfinite(gradients.sum().item<double>())) {
    // A sum of finite numbers may overflow, but never hides a value that is not finite: this second
    // look is exact.
    count = gradients.isfinite().logical_not().sum().item<int64_t>();
  }
  if (count > 0) gradients.copy_(torch::nan_to_num(gradients, 0.0, 1e5, -1e5));
  return count;
}

Adam::Adam(const FlatParameters& parameters, double beta1, double beta2, double epsilon,
           double weight_decay)
    : beta1_(beta1),
      beta2_(beta2),
      epsilon_(epsilon),
      weight_decay_(weight_decay),
      mean_(torch::zeros_like(parameters.values())),
      square_(torch::zeros_like(parameters.values())),
      steps_(torch::zeros({1}, torch::kInt64)) {}

void Adam::step(FlatParameters& parameters, double learning_rate) {
  torch::NoGradGuard no_grad;
  const auto& gradient = parameters.gradients();
  auto values = parameters.values();
  steps_ += 1;
  const auto step = steps_.item<int64_t>();
  const double correction1 = 1 - std::pow(beta1_, static_cast<double>(step));
  const double correction2 = 1 - std::pow(beta2_, static_cast<double>(step));
  if (detail::adam_suits(values)) {
    detail::adam_step_cpu(
        values, gradient, mean_, square_,
        {beta1_, beta2_, epsilon_, 1 - learning_rate * std::max(weight_decay_, 0.0),
         learning_rate / correction1, std::sqrt(correction2)});
    return;
  }
  if (weight_decay_ > 0) values.mul_(1 - learning_rate * weight_decay_);
  mean_.lerp_(gradient, 1 - beta1_);
  square_.mul_(beta2_).addcmul_(gradient, gradient, 1 - beta2_);
  auto denominator = square_.sqrt().div_(std::sqrt(correction2)).add_(epsilon_);
  values.addcdiv_(mean_, denominator, -learning_rate / correction1);
}

std::vector<std::pair<std::string, torch::Tensor>> Adam::state() {
  return {{"adam.mean", mean_}, {"adam.square", square_}, {"adam.steps", steps_}};
}

Sgd::Sgd(const FlatParameters& parameters, double momentum, double weight_decay)
    : momentum_(momentum),
      weight_decay_(weight_decay),
      velocity_(torch::zeros_like(parameters.values())),
      steps_(torch::zeros({1}, torch::kInt64)) {}

void Sgd::step(FlatParameters& parameters, double learning_rate) {
  torch::NoGradGuard no_grad;
  auto values = parameters.values();
  auto gradient = parameters.gradients();
  if (weight_decay_ > 0) gradient = gradient.add(values, weight_decay_);
  velocity_.mul_(momentum_).add_(gradient);
  values.sub_(velocity_, learning_rate);
  steps_ += 1;
}

std::vector<std::pair<std::string, torch::Tensor>> Sgd::state() {
  return {{"sgd.velocity", velocity_}, {"sgd.steps", steps_}};
}

}  // namespace stylescope
