#pragma once

#include <torch/torch.h>

namespace stylescope {

// L2-regularised logistic regression: minimises 0.5 |w|^2 + C sum_i log(1 + exp(-s_i (x_i w + b))),
// s = +-1, the intercept unpenalised (scikit-learn's objective). Newton's method with step halving,
// to a gradient of 1e-10 of its start: converged or an Error, never in between. One iteration costs
// N D^2; memory beyond x in float64 is small.
struct LogisticRegression {
  torch::Tensor coefficients;  // (D) float64, on the device of x
  double intercept = 0;
  double objective = 0;
  int64_t iterations = 0;
  // x (N, D) -> logits (N), float64, on the device of x.
  torch::Tensor decision(const torch::Tensor& x) const;
};

// x (N, D), y (N) of 0/1, c > 0. Throws Error when y holds one class, or x numbers that are not
// finite.
LogisticRegression fit_logistic_regression(const torch::Tensor& x, const torch::Tensor& y,
                                           double c);

}  // namespace stylescope
