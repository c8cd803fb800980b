#include "stages/metrics/logistic_regression.hpp"

#include "io/base/error.hpp"

#include <cmath>

namespace stylescope {
namespace {

constexpr int64_t kMostIterations = 100;
constexpr double kTolerance = 1e-10;

// The regression in the D + 1 unknowns (w, b); b is the last and carries no penalty.
class Problem {
 public:
  Problem(const torch::Tensor& x, const torch::Tensor& y, double c) : x_(x), y_(y), c_(c) {
    penalty_ = torch::ones({x.size(1) + 1}, x.options());
    penalty_[-1] = 0;
  }

  torch::Tensor start() const { return torch::zeros_like(penalty_); }

  double objective(const torch::Tensor& at) const {
    // log(1 + exp(-s t)) = softplus(t) - y t
    const auto t = logits(at);
    const auto losses = torch::logaddexp(t, torch::zeros_like(t)) - y_ * t;
    return (0.5 * (penalty_ * at.square()).sum() + c_ * losses.sum()).item<double>();
  }

  torch::Tensor gradient(const torch::Tensor& at) const {
    const auto residual = logits(at).sigmoid() - y_;
    return penalty_ * at + c_ * torch::cat({x_.t().mv(residual), residual.sum().view({1})});
  }

  torch::Tensor hessian(const torch::Tensor& at) const {
    const auto p = logits(at).sigmoid();
    const auto roots = (c_ * p * (1 - p)).sqrt().unsqueeze(1);
    auto sum = torch::diag(penalty_);
    // In blocks of rows, so that no second copy of x has to fit into memory.
    for (int64_t begin = 0; begin < x_.size(0); begin += kRows) {
      const auto root = roots.slice(0, begin, begin + kRows);
      const auto rows = torch::cat({x_.slice(0, begin, begin + kRows) * root, root}, 1);
      sum.addmm_(rows.t(), rows);
    }
    return sum;
  }

 private:
  static constexpr int64_t kRows = 4096;

  torch::Tensor logits(const torch::Tensor& at) const { return x_.mv(at.slice(0, 0, -1)) + at[-1]; }

  torch::Tensor x_, y_;
  double c_;
  torch::Tensor penalty_;
};

// -H^-1 g. Where all samples are saturated H loses the intercept's row to rounding: a little of the
// diagonal mends it.
torch::Tensor newton_direction(torch::Tensor hessian, const torch::Tensor& gradient) {
  const auto diagonal = hessian.diagonal().mean().item<double>();
  for (double share = 1e-14; share < 1; share *= 100) {
    const auto [factor, failed] = torch::linalg_cholesky_ex(hessian);
    if (failed.item<int>() == 0)
      return -torch::cholesky_solve(gradient.unsqueeze(1), factor).squeeze(1);
    hessian.diagonal().add_(share * diagonal);
  }
  throw Error(
      "logistic regression: the Hessian is not positive definite (the features may be huge); "
      "standardise them");
}

void check(const torch::Tensor& x, const torch::Tensor& y, double c) {
  SS_CHECK(x.dim() == 2 && y.dim() == 1 && x.size(0) == y.size(0), x.sizes(), " and ", y.sizes());
  validate(c > 0, "logistic regression: C is ", c, " (it must be positive)");
  validate(x.isfinite().all().item<bool>(),
           "logistic regression: the features are not all finite numbers");
  validate(((y == 0) | (y == 1)).all().item<bool>(),
           "logistic regression: labels other than 0 and 1");
  const int64_t positives = (y == 1).sum().item<int64_t>();
  validate(positives > 0 && positives < y.numel(), "logistic regression: all ", y.numel(),
           " labels are of one class (nothing tells the classes apart); use more images");
}

}  // namespace

torch::Tensor LogisticRegression::decision(const torch::Tensor& x) const {
  return x.detach().to(torch::kDouble).mv(coefficients.to(x.device())) + intercept;
}

LogisticRegression fit_logistic_regression(const torch::Tensor& x, const torch::Tensor& y,
                                           double c) {
  torch::NoGradGuard no_grad;
  check(x, y, c);
  const Problem problem(x.to(torch::kDouble).contiguous(), y.to(x.device(), torch::kDouble), c);
  auto at = problem.start();
  auto gradient = problem.gradient(at);
  double objective = problem.objective(at);
  const double goal = kTolerance * gradient.norm().item<double>();
  int64_t iterations = 0;
  while (gradient.norm().item<double>() > goal) {
    validate(iterations++ < kMostIterations, "logistic regression: no convergence in ",
             kMostIterations, " Newton steps (the gradient is at ", gradient.norm().item<double>(),
             " of ", goal, " asked for); standardise the features or use a smaller C");
    const auto direction = newton_direction(problem.hessian(at), gradient);
    const double slope = gradient.dot(direction).item<double>();
    // Close to the optimum the objective no longer shows what a step wins: its own rounding is
    // allowed for.
    const double rounding = 1e-13 * std::abs(objective);
    double step = 1;
    double reached = problem.objective(at + direction);
    while (!(reached <= objective + 1e-4 * step * slope + rounding) && step > 1e-10) {
      step *= 0.5;
      reached = problem.objective(at + step * direction);
    }
    at = at + step * direction;
    objective = reached;
    gradient = problem.gradient(at);
  }
  return {at.slice(0, 0, -1).clone(), at[-1].item<double>(), objective, iterations};
}

}  // namespace stylescope
