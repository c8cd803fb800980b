#pragma once

#include <functional>
#include <vector>

#include <torch/torch.h>

// Finds the lambda at which f reaches given probabilities, on f itself, not on its surrogate.
namespace stylescope {

struct TargetFound {
  double lambda = 0;       // NaN: f does not reach the target between the ends of the grid
  double probability = 0;  // f there; NaN likewise
};

// lambda (L) ascending and f (L) on that grid, float64. For each target in (0, 1): of the grid
// intervals whose ends lie on both sides of it the one nearest to lambda 0 is narrowed by the
// Illinois method (regula falsi with bisection's safety) on the logit of f, until f is within
// `tolerance` of the target or the interval within 1e-6 of a grid step (images are quantised, so f
// has small jumps); the better end is taken then. `f_at` gives f at several lambdas (one for each
// target that is still open) at once.
std::vector<TargetFound> find_targets(
    const torch::Tensor& lambda, const torch::Tensor& f, const std::vector<double>& targets,
    const std::function<torch::Tensor(const torch::Tensor& lambda)>& f_at, double tolerance = 1e-3);

}  // namespace stylescope
